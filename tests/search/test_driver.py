import json
import os
import platform
import signal
import subprocess
import sys

import pytest

from search.driver import Driver, StoppedError, ask_to_stop, be_driver, driver_of, stop_asked
from search.screen.steps import heeding, silent_steps
from spaces.errors import InputError


def test_a_driver_says_who_it_is_for_as_long_as_it_is_at_work(tmp_path):
    folder = tmp_path / "mine"
    assert driver_of(folder) is None
    with be_driver(folder):
        found = driver_of(folder)
        assert (found.pid, found.host, found.is_here) == (os.getpid(), platform.node(), True)
        (folder / "sweep.yaml").touch()
    assert driver_of(folder) is None
    assert sorted(path.name for path in folder.iterdir()) == ["driver.lock", "sweep.yaml"]


def test_a_folder_that_stays_empty_is_gone_again(tmp_path):
    with be_driver(tmp_path / "mine"):
        pass
    assert not (tmp_path / "mine").exists()


def test_a_second_driver_is_told_who_the_first_is_and_how_to_stop_it(tmp_path):
    told = rf"mine'?: another process is running this sweep \(process {os.getpid()} on .*distune stop mine.*--name"
    with be_driver(tmp_path / "mine"), pytest.raises(InputError, match=told), be_driver(tmp_path / "mine"):
        pass


DRIVER = """
import sys, time
from pathlib import Path
from search.driver import be_driver
with be_driver(Path(sys.argv[1])):
    print("at work", flush=True)
    time.sleep(60)
"""


def test_nobody_is_at_work_after_a_driver_was_killed_whatever_it_left(tmp_path):
    command = subprocess.Popen([sys.executable, "-c", DRIVER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert command.stdout is not None and command.stdout.readline() == "at work\n"
    assert driver_of(tmp_path).pid == command.pid
    command.send_signal(signal.SIGKILL)
    command.communicate()
    assert (tmp_path / "driver.json").exists()
    assert driver_of(tmp_path) is None
    with be_driver(tmp_path):
        assert driver_of(tmp_path).pid == os.getpid()


def test_a_driver_elsewhere_is_known_as_such():
    assert not Driver(1, "another-machine", 0.0).is_here


def test_a_note_that_cannot_be_read_hides_no_driver(tmp_path):
    with be_driver(tmp_path):
        (tmp_path / "driver.json").write_text(json.dumps({"pid": 1}))
        assert driver_of(tmp_path) is not None


def test_a_request_to_stop_is_found_within_a_second_and_does_not_outlive_the_run(tmp_path):
    now = 0.0
    asked = stop_asked(tmp_path, lambda: now)
    with be_driver(tmp_path):
        assert not asked()
        ask_to_stop(tmp_path)
        now = 0.4
        assert not asked()  # a look costs a system call, and this is asked all the time
        now = 0.5
        assert asked() and asked()
    with be_driver(tmp_path):
        assert not stop_asked(tmp_path)()


def test_work_before_the_trials_ends_at_its_next_step_or_progress_after_a_request(tmp_path):
    steps = heeding(tmp_path, silent_steps)
    with steps("reading clips") as tell:
        tell(1, 2)
    ask_to_stop(tmp_path)
    steps = heeding(tmp_path, silent_steps)
    with pytest.raises(StoppedError), steps("teacher pass"):
        raise AssertionError("it began all the same")
