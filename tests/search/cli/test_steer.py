"""Following and steering recorded sweeps: what the commands show, and of whom."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from search.driver import NOTE, StoppedError, be_driver, driver_of
from search.home import open_home
from search.record.states import TrialState
from search.run.sharing import Sharing
from search.sweep import Sweep
from search.tracking.tracker import Tracker
from tests.search.commands import Run
from tests.search.conftest import RecordedSweep

FACTS = {"teacher_metrics": {"val": {"pauc": 0.9, "f1": 0.8}}}


@pytest.fixture
def first(tmp_path: Path, run: Run, end_trial) -> RecordedSweep:
    """The sweep ``first``: two students of three trials, of which two have ended."""
    sweep = RecordedSweep(open_home(tmp_path / "home").sweep("first"))
    record = sweep.open()
    sweep.folder.write(record.sweep, FACTS)
    end_trial(record, "tiny_conv", [0.5, 0.75])
    end_trial(record, "tiny_conv", [0.25], TrialState.PRUNED)
    sweep.folder.log.write_text("one\ntwo\nthree\n")
    return sweep


DRIVER = """
import sys, time
from pathlib import Path
from search.driver import be_driver, stop_asked
folder = Path(sys.argv[1])
asked = stop_asked(folder)
with be_driver(folder):
    print("at work", flush=True)
    while not asked():
        time.sleep(0.05)
    with (folder / "sweep.log").open("a") as log:
        log.write("four\\n")
"""


@pytest.fixture
def driver(first: RecordedSweep):
    """A process that runs ``first`` until it is asked to stop."""
    command = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(first.folder.path)], stdout=subprocess.PIPE, text=True
    )
    assert command.stdout is not None and command.stdout.readline() == "at work\n"
    yield command
    command.kill()
    command.communicate()


def rows(shown: str) -> dict[str, list[str]]:
    """A table's cells by its first column; cells are apart by two blanks."""
    return {line.split()[0]: [cell.strip() for cell in line.split("  ") if cell.strip()] for line in shown.splitlines()}


def test_list_tells_of_each_sweep_how_it_stands(run: Run, first: RecordedSweep) -> None:
    status, shown, told = run("list")
    assert (status, told) == (0, "")
    assert rows(shown)["first"][:3] == ["first", "interrupted", "2/6"]
    assert "val_pauc: tiny_conv 0.750" in shown and max(map(len, shown.splitlines())) <= 80


def test_list_as_json_is_a_line_a_sweep(run: Run, first: RecordedSweep) -> None:
    (line,) = run("list", "--json").shown.splitlines()
    told = json.loads(line)
    assert told.pop("when")
    assert told == {
        "name": "first", "state": "interrupted", "students": ["tiny_conv", "mobilenetv3"], "ended": 2, "target": 6,
        "metric": "val_pauc", "best": {"tiny_conv": 0.75}, "store": None,
    }  # fmt: skip


def test_a_sweep_that_somebody_runs_is_listed_as_running_and_one_without_trials_as_preparing(
    run: Run, first: RecordedSweep, driver: subprocess.Popen[str], tmp_path: Path
) -> None:
    with be_driver(tmp_path / "home" / "sweeps" / "second"):
        shown = rows(run("list").shown)
    assert shown["first"][1] == "running" and shown["second"][1] == "preparing"
    assert f"process {driver.pid} on" in run("status", "first").shown
    assert "trials yet to end: 4\n" in run("status", "first").shown  # and no advice to start another driver


def test_a_stopped_sweep_says_by_whom_until_it_goes_on(run: Run, first: RecordedSweep) -> None:
    record = first.open()
    record.note_stopped(by_user=True)
    assert rows(run("list").shown)["first"][1] == "stopped"
    assert run("status", "first").shown.startswith("stopped by the user, 20")
    record.note_stopped(by_user=False)
    assert rows(run("list").shown)["first"][1] == "interrupted"


def test_sweeps_whose_trials_are_over_are_listed_by_what_came_of_them(
    run: Run, first: RecordedSweep, end_trial
) -> None:
    record = first.open()
    end_trial(record, "tiny_conv", [0.5])
    for _ in range(3):
        end_trial(record, "mobilenetv3", [0.5])
    assert rows(run("list").shown)["first"][1:3] == ["finished", "6/6"]


def test_status_as_json_has_what_the_summary_event_has(run: Run, first: RecordedSweep) -> None:
    told = json.loads(run("status", "first", "--json").shown)
    assert (told["state"], told["trials_left"], told["epochs_saved"], told["epochs_trained"]) == (
        "interrupted",
        4,
        8,
        3,
    )
    assert told["students"]["tiny_conv"]["trials"] == {"finished": 1, "pruned": 1}
    assert told["students"]["tiny_conv"]["best"]["objective"] == 0.75
    assert told["students"]["mobilenetv3"]["best"] is None


@pytest.fixture
def elsewhere(first: RecordedSweep, home) -> str:
    """A store that knows ``first``, and ``other``, of another home."""
    for name in ("first", "other"):
        with Tracker.open(home.tracking_uri, name, home.artifacts, home.root / f"{name}.spool") as tracker:
            tracker.start_student("tiny_conv")
            tracker.start_trial("tiny_conv", 0, {})
            tracker.end_trial("tiny_conv", 0, TrialState.FINISHED)
            tracker.end_student("tiny_conv", {"best_val_pauc": 0.625})
    return home.tracking_uri


def test_status_shows_who_runs_where(run: Run, first: RecordedSweep) -> None:
    record = first.open()
    for student, host, gpus in (("mobilenetv3", "two", ["1"]), ("tiny_conv", "one", [])):
        number = record.propose(student).number
        for epoch in (1, 2, 3):
            record.report(student, number, epoch, 0.625)
        record.note(student, number, "where", {"host": host, "gpus": gpus, "node": f"node-{host}"})
    record.propose("mobilenetv3")  # is yet to report
    assert json.loads(run("status", "first", "--json").shown)["at_work"] == [], "nobody runs it"
    with be_driver(first.folder.path):
        shown = run("status", "first").shown.splitlines()
        facts = json.loads(run("status", "first", "--json").shown)
    table = [line.split() for line in shown[1:5]]
    assert table[0] == ["machine", "GPU", "trial", "epoch", "val_pauc"]
    assert table[2:] == [
        ["one", "-", "tiny_conv", "2", "3/9", "0.625"],
        ["two", "1", "mobilenetv3", "0", "3/9", "0.625"],
    ]
    assert [(trial["student"], trial["host"], trial["gpus"]) for trial in facts["at_work"]] == [
        ("tiny_conv", "one", []), ("mobilenetv3", "two", ["1"]),
    ]  # fmt: skip
    assert facts["part"] is None, "it has the cluster to itself"


def test_status_of_many_trials_counts_them_by_machine(run: Run, first: RecordedSweep, monkeypatch) -> None:
    monkeypatch.setattr("search.screen.at_work.MOST_TRIALS", 2)
    record = first.open()
    for number, student in enumerate(("mobilenetv3", "mobilenetv3", "tiny_conv")):
        where = {"host": "one" if number else "two", "gpus": [str(number)], "node": None}
        record.note(student, record.propose(student).number, "where", where)
    with be_driver(first.folder.path):
        shown = [line.split() for line in run("status", "first").shown.splitlines()[1:5]]
    assert [shown[0], *shown[2:]] == [["machine", "trials", "GPUs"], ["one", "2", "2"], ["two", "1", "1"]]


def test_status_tells_of_sweeps_that_share_the_cluster(run: Run, first: RecordedSweep) -> None:
    other = first.folder.path.with_name("second")
    with be_driver(first.folder.path), be_driver(other):
        for folder, priority in ((first.folder.path, 1), (other, 3)):
            Sharing(folder, "192.0.2.1:6379", priority).part(slots=8, wanted=20, used={})
        told = "up to 2 trials at once at priority 1, beside second (up to 6 at priority 3)"
        assert told in run("status", "first").shown.splitlines()
        assert json.loads(run("status", "first", "--json").shown)["part"] == told


def test_a_sweep_that_only_mlflow_knows_of_is_listed_as_elsewhere_and_shown_as_mlflow_has_it(
    run: Run, elsewhere: str
) -> None:
    shown = run("list").shown
    assert rows(shown)["other"][:3] == ["other", "elsewhere", "1"] and "tiny_conv 0.625" in shown
    assert rows(shown)["first"][1] == "interrupted"
    status, shown, _ = run("status", "other")
    assert status == 0 and "recorded in another home" in shown and "0.625" in shown
    assert json.loads(run("status", "other", "--json").shown)["best"] == {"tiny_conv": 0.625}


@pytest.mark.parametrize("command", ["logs", "stop", "resume"])
def test_what_needs_the_record_names_the_store_of_a_sweep_from_elsewhere(
    command: str, run: Run, elsewhere: str
) -> None:
    status, _, told = run(command, "other")
    assert status == 2 and elsewhere in told and "set DISTUNE_HOME to that one" in told


def test_a_store_that_is_away_hides_no_sweep_of_this_home(run: Run, first: RecordedSweep, monkeypatch, caplog) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert rows(run("list").shown)["first"][1] == "interrupted"
    assert "127.0.0.1:9" in caplog.text
    assert run("list", "--store", "http://127.0.0.1:9").status == 2


def test_another_store_may_be_named(run: Run, elsewhere: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("DISTUNE_HOME", str(tmp_path / "empty"))
    assert run("list").shown == f"no sweep in {tmp_path}/empty yet\n"
    assert {"first", "other"} <= rows(run("list", "--store", elsewhere).shown).keys()
    assert "0.625" in run("status", "other", "--store", elsewhere).shown
    monkeypatch.setenv("MLFLOW_TRACKING_URI", elsewhere)
    assert {"first", "other"} <= rows(run("list").shown).keys()


def test_logs_shows_the_log_or_its_end(run: Run, first: RecordedSweep) -> None:
    assert run("logs", "first").shown == "one\ntwo\nthree\n"
    assert run("logs", "first", "-n", "2").shown == "two\nthree\n"
    assert run("logs", "first", "-n", "0").shown == ""


def test_following_a_log_ends_where_nobody_runs_the_sweep(run: Run, first: RecordedSweep) -> None:
    assert run("logs", "first", "--follow").shown == "one\ntwo\nthree\n"


def test_a_followed_log_shows_what_is_added_until_the_driver_is_done(
    run: Run, first: RecordedSweep, driver: subprocess.Popen[str]
) -> None:
    following = subprocess.Popen(
        [sys.executable, "-m", "search.cli.main", "logs", "first", "--follow", "-n", "1"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert following.stdout is not None and following.stdout.readline() == "three\n"
    assert run("stop", "first").status == 0
    assert following.communicate(timeout=120)[0] == "four\n"


def test_stop_waits_until_the_driver_is_gone_and_says_how_to_go_on(
    run: Run, first: RecordedSweep, driver: subprocess.Popen[str]
) -> None:
    status, shown, _ = run("stop", "first")
    assert not (first.folder.path / NOTE).exists()
    assert status == 0 and driver.wait(timeout=60) == 0
    assert shown.splitlines()[-1] == "stopped; trials yet to end: 4; go on with: distune resume first"


def test_stop_says_so_where_nobody_runs_the_sweep(run: Run, first: RecordedSweep) -> None:
    status, shown, _ = run("stop", "first")
    assert status == 1 and shown.startswith("nobody is running first")
    assert not (first.folder.path / "stop.request").exists()


def test_stopping_now_interrupts_the_process(run: Run, first: RecordedSweep, driver: subprocess.Popen[str]) -> None:
    assert run("stop", "first", "--now").status == 0
    driver.wait(timeout=60)
    assert driver_of(first.folder.path) is None


def test_a_running_sweep_is_not_resumed(run: Run, first: RecordedSweep, driver: subprocess.Popen[str]) -> None:
    status, _, told = run("resume", "first")
    assert status == 2 and "another process is running this sweep" in told and str(driver.pid) in told


def test_what_is_stopped_before_its_first_trial_exits_130_and_names_the_command(
    run: Run, first: RecordedSweep, monkeypatch
) -> None:
    def stopped(*given: object) -> None:
        raise StoppedError

    monkeypatch.setattr(Sweep, "run", stopped)
    status, _, told = run("resume", "first")
    assert status == 130 and "interrupted before the first trial; go on with: distune resume first" in told
    status, shown, _ = run("resume", "first", "--json")
    assert status == 130 and json.loads(shown.splitlines()[-1])["event"] == "error"


def test_a_refusal_as_json_is_an_error_event_with_every_fault(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump({"name": "x", "data": {"path": "clips"}, "students": {}, "budget": {"trials": 0}}))
    before = time.time()
    status, shown, told = run("sweep", str(file), "--json")
    (event,) = map(json.loads, shown.splitlines())
    assert (status, event["event"], event["status"], told) == (2, "error", 2, "")
    assert {fault["key"] for fault in event["faults"]} == {"students", "budget.trials"}
    assert round(before, 3) <= event["time"] <= round(time.time(), 3)


def test_a_crash_as_json_says_so_in_the_stream_and_keeps_its_traceback(
    run: Run, first: RecordedSweep, monkeypatch
) -> None:
    def crashed(*given: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(Sweep, "run", crashed)
    with pytest.raises(ZeroDivisionError):
        run("resume", "first", "--json")
