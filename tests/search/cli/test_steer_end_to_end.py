"""A sweep in a real terminal, stopped from another one, and resumed as a stream of events."""

import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from search.driver import REQUEST
from search.home import SweepFolder, open_home
from tests.search.sweeps import PATIENCE_SECONDS, Complete, Pruned, Running, Snapshot, halted_when, journal_of, snapshot
from trainables.build import read_checkpoint

pytestmark = pytest.mark.slow

N_TRIALS, EPOCHS = 3, 80
WIDTH = 80


@dataclass(frozen=True)
class Stopped:
    """What came of ``distune sweep`` in a terminal and of ``distune stop``, and what was recorded by then."""

    status: int
    shown: str
    stop: subprocess.CompletedProcess[str]
    recorded: Snapshot
    checkpoints: dict[int, int]


def distune(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "search.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)


def two_at_work(folder: SweepFolder) -> bool:
    """Whether two trials at work have reported what is not in a checkpoint yet."""
    trials = journal_of(folder).get("tiny_conv", [])
    return sum(trial.state == Running and len(trial.intermediate_values) >= 2 for trial in trials) == 2


def asked_to_stop(folder: SweepFolder) -> subprocess.Popen[str]:
    """``distune stop``, as soon as it has asked; it takes seconds to start."""
    command = [sys.executable, "-m", "search.cli.main", "stop", folder.path.name]
    stop = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (folder.path / REQUEST).exists():
        assert stop.poll() is None, stop.communicate()
        time.sleep(0.05)
    return stop


@pytest.fixture(scope="module")
def stopped(sweep_file, workplace: Path) -> Iterator[Stopped]:
    file = sweep_file(
        "steered", students={"tiny_conv": {}}, budget={"trials": N_TRIALS, "epochs": EPOCHS},
        early_stopping={"scheduler": "none"},
        # No checkpoint is due before a trial's end.
        resources={"checkpoint_epochs": EPOCHS, "max_concurrent_trials": 2, "cpus_per_trial": 0.5},
    )  # fmt: skip
    folder = open_home().sweep("steered")
    screen, terminal = pty.openpty()
    command = subprocess.Popen(
        [sys.executable, "-m", "search.cli.main", "sweep", str(file)],
        stdin=terminal, stdout=terminal, stderr=terminal,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": str(WIDTH), "LINES": "24"},
    )  # fmt: skip
    os.close(terminal)
    # To a file: a screen that is read no further holds up what writes to it.
    with (workplace / "screen").open("wb") as file_of_screen:
        reader = subprocess.Popen(["cat"], stdin=screen, stdout=file_of_screen, stderr=subprocess.DEVNULL)
    os.close(screen)
    try:
        with halted_when(lambda: two_at_work(folder), command):
            stop = asked_to_stop(folder)
        told = stop.communicate(timeout=PATIENCE_SECONDS)
        status = command.wait(timeout=PATIENCE_SECONDS)
        reader.wait(timeout=PATIENCE_SECONDS)
    finally:
        command.kill()
        reader.kill()
    shown = (workplace / "screen").read_text()
    recorded = snapshot("steered")
    checkpoints = {
        trial.number: read_checkpoint(trial.user_attrs["checkpoint"])["epoch"]
        for trial in recorded.studies["tiny_conv"]
        if "checkpoint" in trial.user_attrs
    }
    yield Stopped(status, shown, subprocess.CompletedProcess(stop.args, stop.returncode, *told), recorded, checkpoints)


@pytest.fixture(scope="module")
def resumed(stopped: Stopped) -> subprocess.CompletedProcess[str]:
    return distune("resume", "steered", "--json")


def events_of(command: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in command.stdout.splitlines()]


def test_stop_waits_for_the_driver_which_exits_as_interrupted(stopped):
    assert (stopped.status, stopped.stop.returncode) == (130, 0), stopped.shown + stopped.stop.stderr
    assert f"stopped; trials yet to end: {N_TRIALS}; go on with: distune resume steered" in stopped.stop.stdout
    assert "stopped by the user" in stopped.shown


def test_each_trial_at_work_is_kept_up_to_its_last_epoch(stopped):
    trials = [trial for trial in stopped.recorded.studies["tiny_conv"] if trial.intermediate_values]
    assert len(trials) == 2 and all(trial.state == Running for trial in trials)
    for trial in trials:
        assert stopped.checkpoints[trial.number] == max(trial.intermediate_values) >= 2
        run = stopped.recorded.run_of("tiny_conv", trial.number)
        assert (run.info.status, run.data.tags["distune.reason"]) == ("KILLED", "stopped by the user")


def test_the_record_says_that_the_user_stopped_it_until_it_goes_on(stopped, resumed):
    assert stopped.recorded.results.stopped is not None
    assert snapshot("steered").results.stopped is None


def test_nothing_but_distune_writes_to_the_terminal_and_no_line_is_longer_than_it(stopped):
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stopped.shown).replace("\r", "\n")
    assert not re.search(r"raylet|ray::|Traceback|Warning|it/s|\[I \d|pid=", plain)
    table = plain[plain.rindex("sweep steered: val_pauc, ") :].splitlines()[:10]
    assert max(map(len, table)) <= WIDTH and any("tiny_conv" in line for line in table)
    assert re.search(r"tiny_conv \d: epoch \d+ of 80, val_pauc [\d.]+, on this machine", plain)


def test_resume_goes_on_from_what_was_saved_and_exits_with_success(stopped, resumed):
    assert (resumed.returncode, resumed.stderr) == (0, "")
    starts = {event["trial"]: event["epoch"] for event in events_of(resumed) if event["event"] == "trial_started"}
    assert starts == {number: stopped.checkpoints.get(number, 0) for number in range(N_TRIALS)}
    trials = snapshot("steered").studies["tiny_conv"]
    assert [trial.state for trial in trials] == [Complete] * N_TRIALS
    assert all(sorted(trial.intermediate_values) == list(range(1, EPOCHS + 1)) for trial in trials)


def test_the_events_are_the_record(resumed):
    told = events_of(resumed)
    assert [event["event"] for event in told[:2]] == ["step", "step"] and told[-1]["event"] == "summary"
    trials = {trial.number: trial for trial in snapshot("steered").studies["tiny_conv"]}
    epochs = [event for event in told if event["event"] == "epoch"]
    assert epochs
    for event in epochs:
        assert trials[event["trial"]].intermediate_values[event["epoch"]] == event["objective"]
    ended = [event for event in told if event["event"] == "trial_ended"]
    assert {event["trial"]: event["objective"] for event in ended} == {n: each.value for n, each in trials.items()}
    assert {trials[event["trial"]].state for event in ended} <= {Complete, Pruned}
    student = told[-1]["students"]["tiny_conv"]
    assert (told[-1]["status"], student["trials"], student["trials_left"]) == (0, {"finished": N_TRIALS}, 0)
    assert student["best"]["objective"] == max(trial.value for trial in trials.values())


def test_afterwards_list_says_finished(resumed):
    assert re.search(r"steered +finished +3/3 +val_pauc: tiny_conv", distune("list").stdout)
