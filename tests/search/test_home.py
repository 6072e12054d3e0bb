import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from search.home import SweepFolder, open_home
from spaces.errors import InputError
from spaces.sweep import SweepConfig


def test_the_home_folder_is_made_where_the_variable_points(tmp_path, monkeypatch):
    monkeypatch.setenv("DISTUNE_HOME", str(tmp_path / "new" / "home"))
    home = open_home()
    assert home.root == tmp_path / "new" / "home"
    assert home.corpora.is_dir() and home.sweeps.is_dir() and home.artifacts.is_dir()


def test_without_the_variable_home_is_a_hidden_folder_of_the_users(tmp_path, monkeypatch):
    monkeypatch.delenv("DISTUNE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_home().root == tmp_path / ".distune"


def test_a_relative_home_gives_an_absolute_database(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert open_home(Path("here")).tracking_uri == f"sqlite:///{tmp_path}/here/mlflow.db"


def test_a_home_that_is_a_file_is_refused_with_its_path_and_the_variable(tmp_path):
    (tmp_path / "home").write_text("in the way")
    with pytest.raises(InputError, match=r"home: cannot be written .*DISTUNE_HOME") as refused:
        open_home(tmp_path / "home")
    assert len(refused.value.faults) == 1


def test_every_blocked_folder_of_a_home_is_named_at_once(tmp_path):
    (tmp_path / "corpora").write_text("in the way")
    (tmp_path / "mlartifacts").write_text("in the way")
    with pytest.raises(InputError) as refused:
        open_home(tmp_path)
    assert [Path(fault.file).name for fault in refused.value.faults] == ["corpora", "mlartifacts"]


def test_a_sweep_folder_holds_its_file_its_journal_and_rays_folder(tmp_path):
    folder = open_home(tmp_path).sweep("first").create()
    assert folder.path == tmp_path / "sweeps" / "first"
    assert (folder.sweep_file.name, folder.journal.name, folder.ray.is_dir()) == ("sweep.yaml", "study.journal", True)


def test_the_files_of_a_sweep_are_replaced_and_never_written_over(tmp_path):
    folder = open_home(tmp_path / "home").sweep("first").create()
    sweep = SweepConfig.model_validate({"name": "first", "data": {"path": "clips"}, "students": {"tiny_conv": {}}})
    folder.write(sweep, {"head": "old"})
    # A second name of the old file keeps what a reader of it would see.
    os.link(folder.facts_file, tmp_path / "old")
    folder.write(sweep, {"head": "new"})
    assert json.loads((tmp_path / "old").read_text()) == {"head": "old"}
    assert folder.read()[1] == {"head": "new"}
    assert sorted(path.name for path in folder.path.iterdir()) == ["ray", "shared.json", "sweep.yaml"]


def test_a_sweep_is_listed_once_its_file_is_written(tmp_path):
    home = open_home(tmp_path)
    for name in ("b", "a", "unfinished"):
        home.sweep(name).create()
    for name in ("b", "a"):
        home.sweep(name).sweep_file.write_text("name: x")
    assert home.sweep_names() == ["a", "b"]


@pytest.mark.parametrize("name", ["../other", "", ".", "a/b", "x" * 65])
def test_a_name_that_would_leave_the_sweeps_folder_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="no name of a sweep"):
        open_home(tmp_path).sweep(name)


DRIVER = """
import sys, time
from pathlib import Path
from search.home import SweepFolder
with SweepFolder(Path(sys.argv[1])).claimed():
    print("claimed", flush=True)
    time.sleep(60)
"""


def test_a_second_driver_is_refused_until_the_first_is_dead(tmp_path):
    folder = SweepFolder(tmp_path / "mine").create()
    first = subprocess.Popen([sys.executable, "-c", DRIVER, str(folder.path)], stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None and first.stdout.readline() == "claimed\n"
    with pytest.raises(InputError, match=r"mine'?: another process is running this sweep.*--name"), folder.claimed():
        pass
    first.send_signal(signal.SIGKILL)
    first.wait()
    first.stdout.close()
    with folder.claimed():
        pass
    # And a driver that is done holds it no longer.
    with folder.claimed():
        pass
