"""Early stopping decides after a restore as it would have without: on ladder and record alone, nothing is trained.

A driver here asks the ladder and tells the record as the recorder does; it can be killed before any write.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import pytest

from search.home import SweepFolder
from search.record.journal import PatientJournal
from search.record.states import TrialState
from search.record.sweep import SweepRecord
from search.run.scheduler import restored_ladders
from tests.search.conftest import SPACE, RecordedSweep

STUDENT, EPOCHS, N_TRIALS = "tiny_conv", 9, 6
CHANGES = {"budget.trials": N_TRIALS, "early_stopping.grace_epochs": 1, "early_stopping.reduction_factor": 3}
Running = optuna.trial.TrialState.RUNNING


class Report(NamedTuple):
    """One epoch's objective of one trial."""

    trial: int
    epoch: int
    value: float


def reports(seed: int) -> Iterator[Report]:
    """What trials would report if none were stopped, three at work at a time, in the order of its arrival."""
    chance = random.Random(seed)
    epochs = dict.fromkeys(range(N_TRIALS), 0)
    while at_work := [trial for trial, epoch in epochs.items() if epoch < EPOCHS][:3]:
        trial = chance.choice(at_work)
        epochs[trial] += 1
        yield Report(trial, epochs[trial], round(chance.random(), 2))


class KilledError(Exception):
    """Stands for SIGKILL."""


class Pen:
    """Writes lines of journals until ``left`` are written, then kills; ``None``: it never does."""

    left: int | None = None

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        append = PatientJournal.append_logs

        def written(backend: PatientJournal, logs: list[dict[str, Any]]) -> None:
            if self.left == 0:
                raise KilledError
            self.left = self.left and self.left - 1
            append(backend, logs)

        monkeypatch.setattr(PatientJournal, "append_logs", written)


def opened(recorded: RecordedSweep) -> SweepRecord:
    # Without warm-up the first rung may be the first epoch.
    return recorded.open(CHANGES, SPACE.holding({"optimizer.warmup_epochs": 0}))


class Driver:
    """Opens the record as a process does, and keeps nothing else from one to the next."""

    def __init__(self, recorded: RecordedSweep) -> None:
        self.record = opened(recorded)
        self.ladder = restored_ladders(self.record)[STUDENT]

    def take(self, report: Report) -> None:
        """A result as Tune brings it: the scheduler is asked, the recorder told, and a trial that is over ended."""
        while len(self.record.trials(STUDENT)) <= report.trial:
            self.record.propose(STUDENT)
        trial = self.record.trials(STUDENT)[report.trial]
        if trial.state != Running:
            return
        goes_on = self.ladder.report(trial.number, report.epoch, report.value)
        self.record.report(STUDENT, trial.number, report.epoch, report.value, stopped=not goes_on)
        if not goes_on:
            self.record.end(STUDENT, trial.number, TrialState.PRUNED)
        elif report.epoch == EPOCHS:
            self.record.end(STUDENT, trial.number, TrialState.FINISHED)


def outcome(recorded: RecordedSweep) -> list[tuple[str, int | None, dict[int, float]]]:
    """Of each trial: its state, the epoch at which it was stopped, its reports."""
    return [
        (trial.state.name, trial.user_attrs.get("stopped_at"), trial.intermediate_values)
        for trial in opened(recorded).trials(STUDENT)
    ]


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedSweep:
    return RecordedSweep(SweepFolder(tmp_path / "first"), students=(STUDENT,))


@pytest.fixture
def twin(tmp_path: Path) -> RecordedSweep:
    return RecordedSweep(SweepFolder(tmp_path / "twin"), students=(STUDENT,))


def uninterrupted(recorded: RecordedSweep, seed: int) -> list[tuple[str, int | None, dict[int, float]]]:
    driver = Driver(recorded)
    for report in reports(seed):
        driver.take(report)
    return outcome(recorded)


@pytest.mark.parametrize("seed", range(6))
def test_every_decision_after_a_restore_at_every_report_is_the_uninterrupted_one(recorded, twin, seed):
    expected = uninterrupted(twin, seed)
    for report in reports(seed):
        Driver(recorded).take(report)
    assert outcome(recorded) == expected
    assert {state for state, _, _ in expected} == {"PRUNED", "COMPLETE"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_drivers_killed_before_every_write_leave_what_the_next_one_makes_whole(recorded, twin, seed, monkeypatch):
    """Of each report, the first process dies at its first write, the next one write later, and so on."""
    expected = uninterrupted(twin, seed)
    pen, n_killed = Pen(monkeypatch), 0
    for report in reports(seed):
        for pen.left in range(50):
            try:
                Driver(recorded).take(report)
                break
            except KilledError:
                n_killed += 1
    pen.left = None
    assert outcome(recorded) == expected
    assert n_killed > len(list(reports(seed)))


def test_a_stop_that_was_noted_and_not_carried_out_is_carried_out(recorded):
    record = opened(recorded)
    record.propose(STUDENT)
    record.report(STUDENT, 0, 1, 0.5, stopped=True)
    assert outcome(recorded) == [("PRUNED", 1, {1: 0.5})]


def test_a_stop_whose_report_was_lost_never_was(recorded):
    record = opened(recorded)
    record.propose(STUDENT)
    record.report(STUDENT, 0, 1, 0.5)
    record.note(STUDENT, 0, "stopped_at", 3)
    assert outcome(recorded) == [("RUNNING", None, {1: 0.5})]
    # It gets there again, now as one of the best, and no later restore stops it for what was noted once.
    again = Driver(recorded)
    again.take(Report(0, 3, 0.7))
    assert outcome(recorded) == [("RUNNING", None, {1: 0.5, 3: 0.7})]
