"""Where a sweep's seconds went: before the trials, in them, around them.

A slot is the share of the machines that one trial holds. Slots that train nothing are waiting: for an
actor to start, for Tune, for the driver, or because no trial was left.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ray.tune.result import SHOULD_CHECKPOINT
from rich.table import Table

from search.screen.steps import Steps, Tell

IN_A_RESULT = {
    "setup_seconds": "start",
    "train_seconds": "training",
    "val_seconds": "validation",
    "stream_seconds": "the stream",
}
"""What a trial measures itself, and what it is called."""
GATHERING = "data_seconds"

Key = tuple[str, int]
Seconds = defaultdict[str, float]


class Profile:
    """Seconds by what they were spent on. Fed by the driver's thread alone.

    Attributes:
        before: stages before the first trial, seconds each.
        trials: student to seconds in its trials: start, training, validation, checkpoints.
        gathering: student to seconds of training and validation that batches were waited for.
        driver: seconds of the driver on suggestions and records.
        search_seconds: while the search ran.
        slot_seconds: the same, of all slots.

    Args:
        clock: seconds, never running back.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.before: Seconds = defaultdict(float)
        self.driver: Seconds = defaultdict(float)
        self.trials: dict[str, Seconds] = {}
        self.gathering: Seconds = defaultdict(float)
        self.search_seconds = self.slot_seconds = 0.0
        self._saving_since: dict[Key, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the block as a stage before the first trial."""
        with self._counted(self.before, name):
            yield

    def timing(self, steps: Steps) -> Steps:
        """``steps`` whose blocks are counted as stages."""

        @contextmanager
        def timed(title: str) -> Iterator[Tell]:
            with self.stage(title), steps(title) as tell:
                yield tell

        return timed

    @contextmanager
    def at_work(self, name: str) -> Iterator[None]:
        """Count the block as the driver's, while trials run."""
        with self._counted(self.driver, name):
            yield

    @contextmanager
    def searching(self, n_slots: int) -> Iterator[None]:
        """Count the block as the search on ``n_slots`` slots."""
        started = self._clock()
        try:
            yield
        finally:
            seconds = self._clock() - started
            self.search_seconds += seconds
            self.slot_seconds += n_slots * seconds

    def reported(self, key: Key, result: Mapping[str, Any]) -> None:
        """Take in a trial's result."""
        spent = self.trials.setdefault(key[0], defaultdict(float))
        for name, part in IN_A_RESULT.items():
            if name in result:
                spent[part] += result[name]
        self.gathering[key[0]] += result.get(GATHERING, 0.0)
        if result.get(SHOULD_CHECKPOINT):
            self._saving_since[key] = self._clock()

    def saved(self, key: Key) -> None:
        """The checkpoint that a result asked for is on disk; the trial stood still for it."""
        since = self._saving_since.pop(key, None)
        if since is not None:
            self.trials[key[0]]["checkpoints"] += self._clock() - since

    @property
    def waiting(self) -> float:
        """Slot seconds in which no trial worked."""
        return max(0.0, self.slot_seconds - sum(sum(spent.values()) for spent in self.trials.values()))

    def metrics(self, student: str) -> dict[str, float]:
        """A student's seconds, as ``seconds_training`` and the like; what all share is not divided among them."""
        spent: Mapping[str, float] = self.trials.get(student, {})
        shared = {**self.before, **self.driver, "waiting": self.waiting}
        own = {**spent, "gathering": self.gathering[student]}
        # MLflow takes no apostrophe in a metric's name, as in "the teacher's head".
        return {
            "seconds_" + name.replace(" ", "_").replace("'", ""): seconds for name, seconds in (own | shared).items()
        }

    def table(self) -> Table:
        """For the terminal."""
        table = Table("", "seconds", "share of slots", title="where the seconds went", title_justify="left")
        for column in table.columns[1:]:
            column.justify = "right"
        for name, seconds in self.before.items():
            table.add_row(name, f"{seconds:.1f}", "")
        table.add_section()
        for student, spent in self.trials.items():
            for part, seconds in spent.items():
                table.add_row(f"{student}: {part}", f"{seconds:.1f}", self._share(seconds))
            gathered = self.gathering[student]
            table.add_row(f"{student}: of it, gathering batches", f"{gathered:.1f}", self._share(gathered))
        table.add_row("waiting, workers' start included", f"{self.waiting:.1f}", self._share(self.waiting))
        table.add_section()
        for name, seconds in self.driver.items():
            table.add_row(f"driver: {name}", f"{seconds:.1f}", "")
        return table

    def _share(self, seconds: float) -> str:
        return f"{seconds / self.slot_seconds:.1%}" if self.slot_seconds else "-"

    @contextmanager
    def _counted(self, seconds: Seconds, name: str) -> Iterator[None]:
        started = self._clock()
        try:
            yield
        finally:
            seconds[name] += self._clock() - started
