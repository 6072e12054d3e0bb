"""A sweep whose driver is killed outright, again and again, comes to what it would have come to without."""

import contextlib
import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from search.home import SweepFolder, open_home
from search.screen.steps import silent_steps
from search.sweep import Sweep
from tests.search.sweeps import (
    PATIENCE_SECONDS,
    Complete,
    Pruned,
    Running,
    Snapshot,
    journal_of,
    kill_when,
    processes_of,
    snapshot,
    start,
)
from trainables.build import read_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.long]

N_TRIALS, EPOCHS = 5, 12
OF_THE_MACHINE = ("seconds", "peak_memory_mb")
# One at a time, so that the order of reports, and with it every stop, is one.
SECTIONS = {
    "students": {"tiny_conv": {}},
    "budget": {"trials": N_TRIALS, "epochs": EPOCHS},
    "early_stopping": {"grace_epochs": 3},
    "resources": {"checkpoint_epochs": 2, "max_concurrent_trials": 1},
}


def before_the_first_trial(folder: SweepFolder) -> bool:
    return "tiny_conv" in journal_of(folder)


def within_a_trial(folder: SweepFolder) -> bool:
    at_work = [trial for trial in journal_of(folder)["tiny_conv"] if trial.state == Running]
    return any("checkpoint" in trial.user_attrs and len(trial.intermediate_values) >= 3 for trial in at_work)


def between_two_trials(folder: SweepFolder) -> bool:
    trials = journal_of(folder)["tiny_conv"]
    return any(trial.state != Running for trial in trials) and len(trials) < N_TRIALS


MOMENTS = (before_the_first_trial, within_a_trial, between_two_trials)


def left_of(command: subprocess.Popen[str]) -> list[str]:
    """The names of its processes, but for Ray's two agents, which look only now and then whether their raylet lives."""
    names = []
    for process in processes_of(command):
        with contextlib.suppress(psutil.NoSuchProcess):
            names.append(process.name())
    return [name for name in names if "Agent" not in name]


def see_it_out(command: subprocess.Popen[str]) -> None:
    """Wait until those that train have followed their driver."""
    deadline = time.monotonic() + 120
    while training := left_of(command):
        assert time.monotonic() < deadline, f"outlived their driver: {training}"
        time.sleep(0.1)
    for agent in processes_of(command):
        # They hold nothing.
        with contextlib.suppress(psutil.NoSuchProcess):
            agent.kill()


@pytest.fixture(scope="module")
def whole(sweep_file) -> Snapshot:
    Sweep.load(sweep_file("whole", **SECTIONS)).run(silent_steps)
    return snapshot("whole")


@pytest.fixture(scope="module")
def resumed_from(sweep_file, whole) -> Mapping[int, int]:
    """The sweep ``killed``: killed at each moment, then run to its end. Trial to the epoch of its last checkpoint."""
    file, folder = sweep_file("killed", **SECTIONS), open_home().sweep("killed")
    last: dict[int, int] = {}
    for moment in MOMENTS:
        command = start(file)
        kill_when(lambda moment=moment: moment(folder), command)
        see_it_out(command)
        for trial in journal_of(folder)["tiny_conv"]:
            if trial.state == Running and (noted := trial.user_attrs.get("checkpoint")):
                last[trial.number] = read_checkpoint(noted)["epoch"]
    command = start(file)
    out, err = command.communicate(timeout=PATIENCE_SECONDS)
    assert command.returncode == 0, out + err
    assert not re.search(r"it/s|Traceback|ray::|\[I \d", err), err
    return last


@pytest.fixture(scope="module")
def killed(resumed_from) -> Snapshot:
    return snapshot("killed")


def test_every_trial_is_trained_once_and_ends_as_it_would_have(whole, killed):
    told = [
        [(trial.number, trial.state, trial.params, trial.values, trial.intermediate_values) for trial in trials]
        for trials in (killed.studies["tiny_conv"], whole.studies["tiny_conv"])
    ]
    assert told[0] == told[1]
    assert len(told[0]) == N_TRIALS
    assert {state for _, state, *_ in told[0]} == {Complete, Pruned}


def test_mlflow_has_the_runs_and_points_of_an_uninterrupted_sweep(whole, killed):
    def told(sweep: Snapshot) -> dict[str, tuple[str, dict[str, list[tuple[int, float]]]]]:
        return {
            name: (
                sweep.runs[name].info.status,
                {metric: points for metric, points in history.items() if not metric.endswith(OF_THE_MACHINE)},
            )
            for name, history in sweep.points.items()
            if name != "tiny_conv"
        }

    assert told(killed) == told(whole)
    assert killed.runs["tiny_conv"].info.status == "FINISHED"


def test_a_trial_goes_on_from_its_last_checkpoint_and_none_is_begun_that_was_over(resumed_from, killed):
    log = Path(open_home().sweep("killed").log).read_text()
    starts: dict[int, list[int]] = {}
    for number, epoch in re.findall(r"tiny_conv (\d+): starts after epoch (\d+)", log):
        starts.setdefault(int(number), []).append(int(epoch))
    assert resumed_from
    for number in resumed_from:
        assert len(starts[number]) > 1
    over = set()
    for number, event in re.findall(r"tiny_conv (\d+): (starts|finished|pruned)", log):
        assert number not in over, f"trial {number} went on after its end"
        over |= {number} if event != "starts" else set()
    # The kill may fall between an end's record and its line in the log; the record has them all, see above.
    assert len(over) >= N_TRIALS - 1
