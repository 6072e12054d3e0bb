"""Trials made comparable: early stopping ends them at different epochs, and later epochs are better ones."""

from collections.abc import Iterable
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

FEWEST_TRIALS = 10
"""With fewer trials nothing is said of what mattered: measured on tiny_conv's space, chance says as much."""
CHANCE = 0.05
"""How often chance alone may be taken for something that mattered."""


@dataclass(frozen=True)
class Comparison:
    """Trials by their best objective up to one epoch, which all of them reached.

    Values of trials that ran to their end would be fewer, and of the best trials alone: what makes a trial
    bad shows only where bad ones are kept.

    Attributes:
        epoch: the last that every trial that ended reached; 0 where none ended. Of trials that all finished, the end.
        trials: finished, pruned, and running ones that have come as far; failed ones are left out.
        values: an objective a trial.
        maximise: whether more is better.
    """

    epoch: int
    trials: tuple[FrozenTrial, ...]
    values: tuple[float, ...]
    maximise: bool

    @property
    def too_few(self) -> bool:
        return len(self.trials) < FEWEST_TRIALS

    def of(self, chosen: Iterable[FrozenTrial]) -> "Comparison":
        """The same comparison of some of its trials."""
        numbers = {trial.number for trial in chosen}
        kept = [pair for pair in zip(self.trials, self.values, strict=True) if pair[0].number in numbers]
        return Comparison(
            self.epoch, tuple(trial for trial, _ in kept), tuple(value for _, value in kept), self.maximise
        )


def compare(trials: Iterable[FrozenTrial], maximise: bool) -> Comparison:
    """A student's trials at the last epoch that all of those reached that ended.

    A trial that finished early, its patience at an end, keeps its best value.
    """
    reported = [trial for trial in trials if trial.intermediate_values and trial.state != TrialState.FAIL]
    finished = [trial for trial in reported if trial.state == TrialState.COMPLETE]
    pruned = [trial for trial in reported if trial.state == TrialState.PRUNED]
    if not finished and not pruned:
        return Comparison(0, (), (), maximise)
    epoch = min(map(last_epoch, pruned)) if pruned else max(map(last_epoch, finished))
    equal = tuple(trial for trial in reported if trial.state == TrialState.COMPLETE or last_epoch(trial) >= epoch)
    return Comparison(epoch, equal, tuple(best_value(trial, maximise, epoch) for trial in equal), maximise)


def ranked(trials: Iterable[FrozenTrial], maximise: bool) -> list[FrozenTrial]:
    """Trials that ended, the best first, as Optuna's samplers rank them.

    Finished ones by their objective, then those stopped early: the later stopped, the better, and at one rung by value.
    """
    sign = 1 if maximise else -1
    ended = [trial for trial in trials if trial.intermediate_values and trial.state.is_finished()]
    ended = [trial for trial in ended if trial.state != TrialState.FAIL]

    def merit(trial: FrozenTrial) -> tuple[bool, int, float]:
        finished = trial.state == TrialState.COMPLETE
        return finished, 0 if finished else last_epoch(trial), sign * best_value(trial, maximise)

    return sorted(ended, key=merit, reverse=True)


def last_epoch(trial: FrozenTrial) -> int:
    return max(trial.intermediate_values)


def best_value(trial: FrozenTrial, maximise: bool, epoch: int | None = None) -> float:
    """The best objective that a trial reported, up to ``epoch`` or at all."""
    values = [value for at, value in trial.intermediate_values.items() if epoch is None or at <= epoch]
    return max(values) if maximise else min(values)
