"""The rungs of one student's early stopping, apart from Ray: who may go on, and why not.

Asynchronous successive halving in its stopping form (Li et al. 2020, MLSys, arXiv 1810.05934): at a
rung, a trial goes on if it is among the best ``1 / reduction_factor`` of those that got there so far.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


def rungs(grace_epochs: int, reduction_factor: int, max_epochs: int) -> list[int]:
    """The epochs at which trials are compared, ascending, all before the last.

    >>> rungs(grace_epochs=1, reduction_factor=3, max_epochs=243)
    [1, 3, 9, 27, 81]
    """
    epochs = []
    rung = grace_epochs
    while rung < max_epochs:
        epochs.append(rung)
        rung *= reduction_factor
    return epochs


@dataclass
class Ladder:
    """What each trial had reached at each rung.

    A report at a rung that a trial has passed before changes nothing, so a trial that goes on from
    an older checkpoint is not judged twice.
    """

    rungs: list[int]
    reduction_factor: int
    maximise: bool
    reached: dict[int, dict[int, float]] = field(default_factory=dict)

    def report(self, trial: int, epoch: int, value: float) -> bool:
        """Record one result.

        Args:
            trial: its number in the study.
            epoch: epochs trained so far.
            value: the objective after that epoch, a finite number.

        Returns:
            Whether the trial may go on.

        Raises:
            ValueError: ``value`` is not a number, which no comparison would notice.
        """
        if value != value:
            raise ValueError(f"trial {trial} reported an objective that is not a number at epoch {epoch}")
        if epoch not in self.rungs:
            return True
        seen = self.reached.setdefault(epoch, {})
        if trial in seen:
            return True
        seen[trial] = value
        return self.n_better(trial, seen) < max(1, len(seen) // self.reduction_factor)

    def n_better(self, trial: int, seen: Mapping[int, float]) -> int:
        """How many of those that got to a rung stand above a trial there."""
        value = seen[trial]
        return sum(other > value if self.maximise else other < value for other in seen.values())

    def restore(self, reports: Iterable[tuple[int, int, float]]) -> None:
        """Rebuild the rungs from recorded (trial, epoch, value); the order does not matter."""
        for trial, epoch, value in reports:
            if epoch in self.rungs:
                self.reached.setdefault(epoch, {}).setdefault(trial, value)
