"""Ending a run at the user's wish without losing work: each trial stops with its next epoch, and saves it."""

from collections.abc import Callable
from typing import Any

from ray.tune import Stopper

Key = tuple[str, int]


class Halt(Stopper):
    """Ends the run once it was asked for and no trial is at work any more that was so before.

    Their ends are the scheduler's to ask for. In the record they keep running, and go on when the sweep does.

    Args:
        asked: whether the user wants an end; asked often.
    """

    def __init__(self, asked: Callable[[], bool]) -> None:
        self._asked = asked
        self._at_work: set[Key] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles it for a restore of its own, which distune never asks for."""
        return {}

    @property
    def wanted(self) -> bool:
        return self._asked()

    def started(self, key: Key) -> None:
        """A trial is at work; one that waited for room that the others left has nothing to lose yet."""
        if not self.wanted:
            self._at_work.add(key)

    def ended(self, key: Key) -> None:
        self._at_work.discard(key)

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No single trial is stopped."""
        return False

    def stop_all(self) -> bool:
        return self.wanted and not self._at_work
