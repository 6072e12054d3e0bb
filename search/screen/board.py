"""Where a sweep stands: counts, bests and the time left, per student. Pure state, fed by calls."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from search.record.states import TrialState


@dataclass
class Running:
    """A trial at work: epochs it has behind it, and when it last said so, seconds of the board's clock."""

    epoch: int
    heard: float


@dataclass
class StudentBoard:
    """Where one student stands.

    Args:
        target: trials that are to end.
        epochs: of a trial that runs to its end.
    """

    target: int
    epochs: int
    ended: dict[TrialState, int] = field(
        default_factory=lambda: dict.fromkeys((TrialState.FINISHED, TrialState.PRUNED, TrialState.FAILED), 0)
    )
    running: dict[int, Running] = field(default_factory=dict)
    best: float | None = None
    best_f1: float | None = None
    started: float | None = None
    stopped: float | None = None
    # For the estimates, from this process alone: what an earlier one did says nothing of today's speed.
    epochs_seen: int = 0
    seconds_seen: float = 0.0  # of trials, added up, for those epochs
    ended_epochs: list[int] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Trials that are over, however they ended."""
        return sum(self.ended.values())

    @property
    def epochs_left(self) -> float:
        """Expected epochs until the target: a trial is expected to last as long as those that ended did.

        A running trial that has outlived that mean is expected to run to its end.
        """
        mean = sum(self.ended_epochs) / len(self.ended_epochs) if self.ended_epochs else float(self.epochs)
        waiting = max(0, self.target - self.done - len(self.running))
        under_way = sum(
            (mean if trial.epoch < mean else max(self.epochs, trial.epoch)) - trial.epoch
            for trial in self.running.values()
        )
        return waiting * mean + under_way

    def seconds_used(self, now: float) -> float:
        """Seconds since this student's first trial of this process, until its last one ended."""
        if self.started is None:
            return 0.0
        return (now if self.stopped is None else self.stopped) - self.started

    def seconds_left(self, now: float) -> float | None:
        """Seconds until the target at this student's epochs a second so far; ``None`` before its first epoch."""
        if self.epochs_left == 0:
            return 0.0
        return self.epochs_left * self.seconds_used(now) / self.epochs_seen if self.epochs_seen else None

    @property
    def work_left(self) -> float | None:
        """Seconds that one trial slot would need for the rest; ``None`` before the first epoch."""
        if self.epochs_left == 0:
            return 0.0
        return self.epochs_left * self.seconds_seen / self.epochs_seen if self.epochs_seen else None


class SweepBoard:
    """Where a sweep stands. Calls may come from any thread.

    Args:
        name: the sweep's.
        metric: the objective's name, e.g. ``val_pauc``.
        clock: seconds, never running back.
    """

    def __init__(
        self, name: str, metric: str, mode: Literal["max", "min"], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name, self.metric, self.mode, self.clock = name, metric, mode, clock
        self.students: dict[str, StudentBoard] = {}
        self.on_end: Callable[[str], None] | None = None
        self.lock = threading.RLock()
        self._began = clock()

    def add_student(self, student: str, target: int, epochs: int) -> None:
        """Name a student before its trials, in the order of the table's rows."""
        with self.lock:
            self.students[student] = StudentBoard(target, epochs)

    def expect(self, student: str, target: int) -> None:
        """How many of a student's trials are to end, where that has become known."""
        with self.lock:
            self.students[student].target = target

    def recorded(
        self, student: str, state: TrialState, objective: float | None = None, f1: float | None = None
    ) -> None:
        """Count a trial that ended before this process began."""
        with self.lock:
            row = self.students[student]
            row.ended[state] += 1
            self._compare(row, state, objective, f1)

    def trial_started(self, student: str, number: int, epoch: int = 0) -> None:
        """A trial is at work; ``epoch`` is how many it has behind it where it goes on from a checkpoint."""
        with self.lock:
            row, now = self.students[student], self.clock()
            row.running[number] = Running(epoch, now)
            row.started = now if row.started is None else row.started
            row.stopped = None

    def trial_reported(self, student: str, number: int, epoch: int) -> None:
        """A trial finished ``epoch``, counted from 1."""
        with self.lock:
            row, now = self.students[student], self.clock()
            trial = row.running[number]
            # One that went back to a checkpoint does work again that brings it no nearer.
            row.epochs_seen += max(0, epoch - trial.epoch)
            row.seconds_seen += now - trial.heard
            row.running[number] = Running(max(epoch, trial.epoch), now)

    def trial_ended(
        self,
        student: str,
        number: int,
        state: TrialState,
        objective: float | None = None,
        f1: float | None = None,
    ) -> None:
        """A trial is over, or interrupted, which only takes it off the running ones."""
        with self.lock:
            row = self.students[student]
            trial = row.running.pop(number)
            row.stopped = None if row.running else self.clock()
            if state is TrialState.INTERRUPTED:
                return
            row.ended[state] += 1
            if state is not TrialState.FAILED:
                # A crash says nothing of how long the others will take.
                row.ended_epochs.append(trial.epoch)
            self._compare(row, state, objective, f1)
            line = self._line(student, row, state, trial.epoch, objective, f1)
        if self.on_end is not None:
            self.on_end(line)

    @property
    def n_running(self) -> int:
        return sum(len(row.running) for row in self.students.values())

    def seconds_used(self) -> float:
        return self.clock() - self._began

    def seconds_left(self) -> float | None:
        """Seconds until every target, with as many trials at once as now; ``None`` where that is unknown."""
        work = [row.work_left for row in self.students.values()]
        known = [seconds for seconds in work if seconds is not None]
        return sum(known) / max(1, self.n_running) if len(known) == len(work) else None

    def _compare(self, row: StudentBoard, state: TrialState, objective: float | None, f1: float | None) -> None:
        """Only a trial that ran to its end can be the best, as in the study."""
        if state is not TrialState.FINISHED or objective is None:
            return
        sign = 1 if self.mode == "max" else -1
        if row.best is None or sign * objective > sign * row.best:
            row.best, row.best_f1 = objective, f1

    def _line(
        self,
        student: str,
        row: StudentBoard,
        state: TrialState,
        epoch: int,
        objective: float | None,
        f1: float | None,
    ) -> str:
        """One ended trial in words, e.g. ``tiny_conv 5/8 finished val_pauc 0.912 F1 0.88 [3 running]``."""
        words = [student, f"{row.done}/{row.target}", state.value]
        if state is not TrialState.FINISHED:
            words.append(f"at epoch {epoch}")
        if objective is not None:
            words.append(f"{self.metric} {objective:.3f}")
        if f1 is not None:
            words.append(f"F1 {f1:.2f}")
        return " ".join([*words, f"[{self.n_running} running]"])
