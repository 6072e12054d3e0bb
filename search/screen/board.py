"""Where a sweep stands: counts, bests and the time left, per student. Pure state, fed by calls."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from search.record.states import TrialState
from search.screen.estimate import Ahead, Outlook, Pace, ends

HOUR = 3600.0
PATIENCE = 50
"""So many times as long as reckoning the time left took, it stands."""

Tell = Callable[[str, dict[str, Any]], None]
"""Told of what happened: the kind of event, and its facts as JSON."""


@dataclass
class Running:
    """A trial at work.

    Args:
        epoch: that it has behind it.
        heard: when it last said so, seconds of the board's clock.
        objective: of its last epoch.
        where: the machine or GPU that it runs on, ``None`` until it says so.
    """

    epoch: int
    heard: float
    objective: float | None = None
    where: str | None = None
    has_reported: bool = False


@dataclass
class StudentBoard:
    """Where one student stands.

    Args:
        target: trials that are to end.
        epochs: of a trial that runs to its end.

    Attributes:
        bests: the best so far, after each finished trial.
        outlook: how long its trials will be.
        ended_before: state, epochs, objective and F1 of the trials that ended before this process.
        pace: of this process alone: what an earlier one did says nothing of today's speed.
        ended_here: trials that ended in this process.
    """

    target: int
    epochs: int
    outlook: Outlook
    ended: dict[TrialState, int] = field(
        default_factory=lambda: dict.fromkeys((TrialState.FINISHED, TrialState.PRUNED, TrialState.FAILED), 0)
    )
    running: dict[int, Running] = field(default_factory=dict)
    best_f1: float | None = None
    bests: list[float] = field(default_factory=list)
    started: float | None = None
    stopped: float | None = None
    pace: Pace = field(default_factory=Pace)
    ended_before: list[tuple[TrialState, int, float | None, float | None]] = field(default_factory=list)
    ended_here: int = 0
    epochs_trained: int = 0
    epochs_saved: int = 0

    @property
    def best(self) -> float | None:
        return self.bests[-1] if self.bests else None

    @property
    def done(self) -> int:
        """Trials that are over, however they ended."""
        return sum(self.ended.values())

    @property
    def waiting(self) -> int:
        """Trials that are yet to begin."""
        return max(0, self.target - self.done - len(self.running))

    def seconds_used(self, now: float) -> float:
        """Seconds since this student's first trial of this process, until its last one ended."""
        if self.started is None:
            return 0.0
        return (now if self.stopped is None else self.stopped) - self.started

    def trials_an_hour(self, now: float) -> float | None:
        """That ended in this process; ``None`` before the first."""
        used = self.seconds_used(now)
        return HOUR * self.ended_here / used if self.ended_here and used else None

    def ahead(self, now: float) -> Ahead | None:
        """What is ahead, in seconds of a slot; ``None`` before the first epoch."""
        if not self.waiting and not self.running:
            return Ahead((), ())
        epoch_seconds = self.pace.epoch_seconds
        if epoch_seconds is None:
            return None
        left, lengths = self.outlook.lengths([trial.epoch for trial in self.running.values()], self.waiting)
        at_work = [
            # Of the epoch under way, some is done.
            max(0.0, epochs * epoch_seconds - min(now - trial.heard, epoch_seconds))
            + (0.0 if trial.has_reported else self.pace.start_seconds)
            for epochs, trial in zip(left, self.running.values(), strict=True)
        ]
        return Ahead(at_work, [self.pace.start_seconds + length * epoch_seconds for length in lengths])


class SweepBoard:
    """Where a sweep stands. Calls may come from any thread.

    Args:
        name: the sweep's.
        metric: the objective's name, e.g. ``val_pauc``.
        clock: seconds, never running back.
        seconds_to_limit: until a budget ends the run; ``None`` where none does.
        stage: whether its trials search or confirm.
        follows: what comes after this run, which the time left knows nothing of.
        part: of a cluster that other sweeps share, in words; nothing where it has the whole.

    Attributes:
        listeners: told of every start, epoch and end of a trial, outside the lock.
    """

    def __init__(
        self,
        name: str,
        metric: str,
        mode: Literal["max", "min"],
        clock: Callable[[], float] = time.monotonic,
        seconds_to_limit: Callable[[], float | None] = lambda: None,
        stage: Literal["search", "confirm"] = "search",
        follows: str = "",
        part: Callable[[], str] = str,
    ) -> None:
        self.stage, self.follows, self.part = stage, follows, part
        self.name, self.metric, self.mode, self.clock = name, metric, mode, clock
        self.seconds_to_limit = seconds_to_limit
        self.students: dict[str, StudentBoard] = {}
        self.listeners: list[Tell] = []
        self.lock = threading.RLock()
        self._began = clock()
        self._n_slots = 1
        self._freed: deque[float] = deque()  # when slots came free that no trial has taken since
        self._gaps: list[float] = []
        self._left: dict[str, float | None] = {}
        self._reckon_after = float("-inf")

    def add_student(
        self, student: str, target: int, epochs: int, rungs: Sequence[int] = (), reduction_factor: int = 3
    ) -> None:
        """Name a student before its trials, in the order of the table's rows; ``rungs`` are its ladder's."""
        with self.lock:
            self.students[student] = StudentBoard(target, epochs, Outlook(epochs, rungs, reduction_factor))

    def expect(self, student: str, target: int) -> None:
        """How many of a student's trials are to end, where that has become known."""
        with self.lock:
            self.students[student].target = target

    def recorded(
        self,
        student: str,
        state: TrialState,
        objective: float | None = None,
        f1: float | None = None,
        epoch: int = 0,
    ) -> None:
        """Count a trial that ended before this process began, after ``epoch`` epochs."""
        with self.lock:
            row = self.students[student]
            row.ended_before.append((state, epoch, objective, f1))
            row.outlook.passed(0, epoch)
            self._count(row, state, epoch, objective, f1)

    def trial_started(self, student: str, number: int, epoch: int = 0) -> None:
        """A trial is at work; ``epoch`` is how many it has behind it where it goes on from a checkpoint."""
        with self.lock:
            row, now = self.students[student], self.clock()
            row.running[number] = Running(epoch, now)
            row.started = now if row.started is None else row.started
            row.stopped = None
            self._n_slots = self.n_running
            if self._freed:
                self._gaps.append(now - self._freed.popleft())
        self._tell("trial_started", student=student, trial=number, epoch=epoch)

    def trial_reported(
        self, student: str, number: int, epoch: int, objective: float | None = None, where: str | None = None
    ) -> None:
        """A trial finished ``epoch``, counted from 1."""
        with self.lock:
            row, now = self.students[student], self.clock()
            trial = row.running[number]
            # One that went back to a checkpoint does work again that brings it no nearer.
            row.pace.reported(max(0, epoch - trial.epoch), now - trial.heard, is_first=not trial.has_reported)
            row.outlook.passed(trial.epoch, epoch)
            where = where or trial.where
            row.running[number] = Running(max(epoch, trial.epoch), now, objective, where, has_reported=True)
        self._tell("epoch", student=student, trial=number, epoch=epoch, objective=objective, where=where)

    def trial_ended(
        self,
        student: str,
        number: int,
        state: TrialState,
        objective: float | None = None,
        f1: float | None = None,
        reason: str | None = None,
    ) -> None:
        """A trial is over, or interrupted, which only takes it off the running ones."""
        with self.lock:
            row = self.students[student]
            trial = row.running.pop(number)
            row.stopped = None if row.running else self.clock()
            self._freed.append(self.clock())
            if state is not TrialState.INTERRUPTED:
                row.ended_here += 1
                self._count(row, state, trial.epoch, objective, f1)
            facts = {"state": str(state), "epoch": trial.epoch, "objective": objective, "f1": f1, "reason": reason}
            facts |= {"done": row.done, "target": row.target, "best": row.best, "running": self.n_running}
        if self.listeners:
            facts["seconds_left"] = _rounded(self.seconds_left())
            self._tell("trial_ended", student=student, trial=number, **facts)

    @property
    def n_running(self) -> int:
        return sum(len(row.running) for row in self.students.values())

    @property
    def epochs_saved(self) -> int:
        """That early stopping left untrained."""
        return sum(row.epochs_saved for row in self.students.values())

    @property
    def epochs_trained(self) -> int:
        """By ended trials and those at work."""
        rows = self.students.values()
        return sum(row.epochs_trained + sum(trial.epoch for trial in row.running.values()) for row in rows)

    def seconds_used(self) -> float:
        return self.clock() - self._began

    def trials_an_hour(self) -> float | None:
        """Of all students; ``None`` before the first has ended."""
        ended, used = sum(row.ended_here for row in self.students.values()), self.seconds_used()
        return HOUR * ended / used if ended and used else None

    def seconds_left(self) -> float | None:
        """Seconds until the run's last trial ends or its budget does; ``None`` where that is unknown."""
        by_student = self.seconds_left_of()
        known = [seconds for seconds in by_student.values() if seconds is not None]
        limit = self.seconds_to_limit()
        if len(known) < len(by_student):
            return limit
        return min(max(known, default=0.0), float("inf") if limit is None else max(0.0, limit))

    def seconds_left_of(self) -> dict[str, float | None]:
        """Student to seconds until its last trial ends, with as many trials at once as now.

        A student of whom nothing is known yet has ``None``, and is left out of the others' reckoning.
        """
        with self.lock:
            now = self.clock()
            if now >= self._reckon_after:
                ahead = {student: row.ahead(now) for student, row in self.students.items()}
                gap = sum(self._gaps) / len(self._gaps) if self._gaps else 0.0
                found = ends({student: each for student, each in ahead.items() if each}, max(1, self._n_slots), gap)
                self._left = {student: found.get(student) for student in ahead}
                # Of thousands of trials that wait it takes long, and hundreds at work would have it done at every end.
                self._reckon_after = now + PATIENCE * (self.clock() - now)
            return self._left

    def _count(
        self, row: StudentBoard, state: TrialState, epoch: int, objective: float | None, f1: float | None
    ) -> None:
        row.ended[state] += 1
        row.epochs_trained += epoch
        if state is TrialState.PRUNED:
            row.outlook.stopped(epoch)
            row.epochs_saved += row.epochs - epoch
        if state is TrialState.FINISHED:
            # Only a trial that ran to its end can be the best, as in the study.
            row.outlook.finished(epoch or row.epochs)
            sign = 1 if self.mode == "max" else -1
            if objective is not None and (row.best is None or sign * objective > sign * row.best):
                row.best_f1 = f1
                row.bests.append(objective)
            elif row.best is not None:
                row.bests.append(row.best)

    def _tell(self, kind: str, **facts: Any) -> None:
        for listener in self.listeners:
            listener(kind, facts)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
