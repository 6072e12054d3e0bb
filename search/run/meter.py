"""Measuring what a run spends while it runs, and ending it when a budget is reached.

Both kinds of hours are written to the record as they pass, so that those of an earlier run count, however it ended.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from ray.tune import Stopper

from search.record.budget import HOUR, WALL_SECONDS, Spent
from search.record.trials import TrialRecord

SECONDS_BETWEEN_NOTES = 10.0
"""What ``kill -9`` may leave uncounted, of the sweep and of each trial."""


class _Held(NamedTuple):
    """A trial at work: since when by the clock, with what share of a GPU, and its seconds before that."""

    since: float
    gpu: float
    seconds_before: float


class Meter(Stopper):
    """Measures what one run over a record spends, and ends the run when a budget is reached.

    Tune asks it several times a second. Its ending the run ends no trial: in the record they keep running.

    Args:
        clock: seconds, never running back.
    """

    def __init__(self, record: TrialRecord, clock: Callable[[], float] = time.monotonic) -> None:
        self.record, self.budget, self._clock = record, record.sweep.budget, clock
        self._before = Spent.recorded(record.storage, record.sweep.name)
        self._study = next(iter(record.studies.values()))
        self._study_seconds = self._study.user_attrs.get(WALL_SECONDS, 0.0)
        self._began = self._kept = clock()
        self._held: dict[tuple[str, int], _Held] = {}
        self._gpu_seconds = 0.0  # of trials that let go

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles it for a restore of its own, which distune never asks for."""
        return {}

    def started(self, key: tuple[str, int], gpu: float) -> None:
        """Trial ``key`` holds its machine from now on."""
        self.stopped(key)
        self._held[key] = _Held(self._clock(), gpu, self.record.noted(*key, "seconds") or 0.0)

    def stopped(self, key: tuple[str, int]) -> None:
        """It has let go; nothing happens where it held nothing."""
        if held := self._held.pop(key, None):
            self._gpu_seconds += held.gpu * (self._clock() - held.since)

    def seconds(self, key: tuple[str, int]) -> float:
        """For how long a trial at work has held its machine, earlier runs included."""
        held = self._held[key]
        return held.seconds_before + self._clock() - held.since

    @property
    def spent(self) -> Spent:
        """By the sweep, this moment included."""
        now = self._clock()
        # A copy: the live table asks from another thread than the one that feeds it.
        under_way = sum(held.gpu * (now - held.since) for held in list(self._held.values()))
        return Spent(
            self._before.wall_seconds + now - self._began,
            self._before.gpu_seconds + self._gpu_seconds + under_way,
        )

    def seconds_to_limit(self) -> float | None:
        """Until a budget ends the run, with as many GPUs at work as now; ``None`` where none does."""
        spent, budget = self.spent, self.budget
        gpus = sum(held.gpu for held in list(self._held.values()))
        left = []
        if budget.hours is not None:
            left.append(budget.hours * HOUR - spent.wall_seconds)
        if budget.gpu_hours is not None and gpus:
            left.append((budget.gpu_hours * HOUR - spent.gpu_seconds) / gpus)
        if budget.cost is not None and budget.price_per_hour:
            left.append(budget.cost / budget.price_per_hour * HOUR - spent.wall_seconds)
        return max(0.0, min(left)) if left else None

    def keep(self) -> None:
        """Write this run's wall time to the record."""
        self._kept = self._clock()
        self._study.set_user_attr(WALL_SECONDS, self._study_seconds + self._kept - self._began)

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No single trial is stopped for the budget."""
        return False

    def stop_all(self) -> bool:
        if self._clock() - self._kept >= SECONDS_BETWEEN_NOTES:
            self.keep()
        return self.spent.reached(self.budget) is not None
