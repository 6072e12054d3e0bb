"""The rungs of one student's early stopping, apart from Ray: who may go on, and why not.

Asynchronous successive halving in its stopping form (Li et al. 2020, MLSys, arXiv 1810.05934): at a
rung, a trial goes on if it is among the best ``1 / reduction_factor`` of those that got there so far.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

ALWAYS_GO_ON = 2
"""So many of the best at a rung go on, whatever their share: with one, the first to arrive would have to be beaten."""
NOBODY_SPARED: tuple[int, ...] = (0,)


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


def brackets(n_rungs: int, reduction_factor: int, seed: int) -> tuple[int, ...]:
    """Hyperband's brackets, dealt out to trials by their numbers, in turn and shuffled.

    A bracket that spares its trials the first rungs has fewer of them: of ``s + 1`` rungs, the last epoch
    included, ``ceil((s_max + 1) / (s + 1) * reduction_factor ** s)`` (Li et al. 2018, JMLR 18, algorithm 1).

    Returns:
        For trial ``i``, at index ``i`` modulo the length: how many of the first rungs it is spared.

    >>> sorted(brackets(n_rungs=2, reduction_factor=3, seed=0))
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2]
    """
    sizes = [-(-(n_rungs + 1) * reduction_factor**s // (s + 1)) for s in range(n_rungs + 1)]
    dealt = [n_rungs - s for s, size in enumerate(sizes) for _ in range(size)]
    random.Random(seed).shuffle(dealt)
    return tuple(dealt)


@dataclass
class Ladder:
    """What each trial had reached at each rung.

    A report at a rung that a trial has passed before changes nothing, so a trial that goes on from
    an older checkpoint is not judged twice.

    Attributes:
        rungs: epochs, ascending.
        spared: how many of the first rungs stop trial ``i`` under no circumstances, at index ``i`` modulo the length;
            others are compared with it all the same.
        reached: rung to trial to its objective there.
    """

    rungs: list[int]
    reduction_factor: int
    maximise: bool
    spared: tuple[int, ...] = NOBODY_SPARED
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
        if self.rungs.index(epoch) < self.spared[trial % len(self.spared)]:
            return True
        return self.n_better(trial, seen) < max(ALWAYS_GO_ON, -(-len(seen) // self.reduction_factor))

    def n_better(self, trial: int, seen: Mapping[int, float]) -> int:
        """How many of those that got to a rung stand above a trial there."""
        value = seen[trial]
        return sum(other > value if self.maximise else other < value for other in seen.values())

    def restore(self, reports: Iterable[tuple[int, int, float]]) -> None:
        """Rebuild the rungs from recorded (trial, epoch, value); the order does not matter."""
        for trial, epoch, value in reports:
            if epoch in self.rungs:
                self.reached.setdefault(epoch, {}).setdefault(trial, value)
