"""Ending a run at the user's wish without losing work: when each trial has saved what it has."""

from collections.abc import Callable
from typing import Any

from ray.tune import Stopper

Key = tuple[str, int]


class Halt(Stopper):
    """Ends the run once it was asked for and every trial at work has a checkpoint from after that.

    Like a budget, it ends no trial: in the record they keep running, and go on when the sweep does.

    Args:
        asked: whether the user wants an end; asked often.
    """

    def __init__(self, asked: Callable[[], bool]) -> None:
        self._asked = asked
        self._at_work: set[Key] = set()
        self._saved: set[Key] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles it for a restore of its own, which distune never asks for."""
        return {}

    @property
    def wanted(self) -> bool:
        return self._asked()

    def started(self, key: Key) -> None:
        self._at_work.add(key)

    def saved(self, key: Key) -> None:
        """A trial's checkpoint is on disk."""
        if self.wanted:
            self._saved.add(key)

    def ended(self, key: Key) -> None:
        self._at_work.discard(key)

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No single trial is stopped."""
        return False

    def stop_all(self) -> bool:
        return self.wanted and self._at_work <= self._saved
