"""Orders, run as a job runs them on the head: in a process of their own, in a folder with the order's files."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from search.cluster import entry
from search.cluster.frames import KIND, frames_of
from search.cluster.order import Order
from search.home import open_home
from tests.search.conftest import RecordedSweep
from tests.search.filled import FACTS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
RAY = metadata.version("ray")


def run(folder: Path, order: Order, **environment: str) -> tuple[int, dict[str, str], list[str]]:
    """The job's exit status, what it printed by stream, and the names of files that it sent."""
    job = folder / "job"
    job.mkdir()
    for name, text in order.as_files().items():
        (job / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "search.cluster.entry"], cwd=job, capture_output=True, text=True,
        env={"DISTUNE_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip
    frames = list(frames_of(iter([done.stdout])))
    assert frames[-1] == {KIND: "exit", "status": done.returncode} and done.stderr == ""
    printed = {kind: "".join(frame["text"] for frame in frames if frame[KIND] == kind) for kind in ("out", "err")}
    return done.returncode, printed, [frame["name"] for frame in frames if frame[KIND] == "file"]


@pytest.fixture
def recorded(tmp_path: Path, end_trial) -> None:
    """The sweep ``first`` in the head's home, of two trials that have ended."""
    sweep = RecordedSweep(open_home(tmp_path / "home").sweep("first"))
    record = sweep.open()
    sweep.folder.write(record.sweep, FACTS)
    end_trial(record, "tiny_conv", [0.5, 0.75])
    sweep.folder.log.write_text("one\ntwo\n")


def test_a_command_is_run_with_its_streams_and_status_told_apart(tmp_path, recorded):
    assert run(tmp_path, Order(["logs", "first", "--lines=1"], RAY)) == (0, {"out": "two\n", "err": ""}, [])


def test_a_refusal_comes_back_as_one(tmp_path):
    status, printed, _ = run(tmp_path, Order(["logs", "nobody"], RAY))
    assert status == 2 and printed["out"] == ""
    assert printed["err"].startswith("refused: command line: NAME = 'nobody': is not recorded here")


def test_a_command_on_the_head_asks_no_other_machine_whatever_was_submitted_from_there(tmp_path, recorded):
    notes = tmp_path / "home" / "submitted"
    notes.mkdir()
    for name in ("first", "second"):
        (notes / f"{name}.json").write_text(
            json.dumps({"name": name, "address": "http://127.0.0.1:1", "job": "j", "since": 0.0})
        )
    status, printed, _ = run(tmp_path, Order(["stop", "second"], RAY))
    assert status == 2 and "is not recorded here" in printed["err"]


def test_a_ray_that_is_not_the_clusters_is_refused_with_what_to_do(tmp_path):
    status, printed, _ = run(tmp_path, Order(["list"], "2.59.1"))
    assert status == 2 and printed["out"] == ""
    assert f"has Ray {RAY}, its cluster 2.59.1; put the one that Ray runs with first on the PATH" in printed["err"]


def test_an_old_python_is_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr(entry.sys, "version_info", (3, 9, 1))
    with pytest.raises(SystemExit, match=r"refused: the head's `python`, .*, is 3\.9\.1; distune needs 3\.11 or newer"):
        entry.main()


def test_what_an_old_python_reads_of_it_is_plain():
    # What Python 3.6 could not compile would end in a traceback and not in the refusal.
    source = Path(entry.__file__).read_text()
    compile(source, "entry.py", "exec", dont_inherit=True, _feature_version=6)  # type: ignore[call-overload]


def test_a_sweeps_files_are_kept_where_it_can_be_resumed_from_and_the_heads_store_is_used(tmp_path):
    tree = {"name": "first", "data": {"path": "/nowhere"}, "students": {"tiny_conv": {"space": "space-tiny_conv.yaml"}}}
    files = {"sweep.yaml": yaml.safe_dump(tree), "space-tiny_conv.yaml": "extends: tiny_conv\n"}
    store = f"sqlite:///{tmp_path}/missing/store.db"
    (tmp_path / "missing").write_text("a file where the store's folder should be")
    order = Order(["sweep", "--json"], RAY, sweep="first", files=files)
    status, printed, _ = run(tmp_path, order, MLFLOW_TRACKING_URI=store)
    (event,) = map(json.loads, printed["out"].splitlines())
    assert (status, event["event"]) == (2, "error")
    assert any(str(tmp_path / "missing") in str(fault) for fault in event["faults"])
    kept = tmp_path / "home" / "received" / "first"
    assert sorted(path.name for path in kept.iterdir()) == ["space-tiny_conv.yaml", "sweep.yaml"]


def test_what_a_command_writes_is_sent_and_left_nowhere_on_the_head(tmp_path, recorded):
    order = Order(["export", "first", "--student=tiny_conv", "--output=returned/0/best.yaml"], RAY, returned=1)
    status, printed, names = run(tmp_path, order)
    assert (status, printed, names) == (
        0,
        {"out": "tiny_conv, trial 0: returned/0/best.yaml\n", "err": ""},
        ["0/best.yaml"],
    )
    assert list((tmp_path / "job").iterdir()) == [tmp_path / "job" / "order.json"]
