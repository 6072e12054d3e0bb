"""How often early stopping was right: whether values at its rungs ranked trials as their ends did."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import atanh, sqrt, tanh

from optuna.trial import FrozenTrial, TrialState
from scipy.stats import spearmanr

from search.insight.comparison import best_value, last_epoch

FEWEST_RANKED = 5


@dataclass(frozen=True)
class Agreement:
    """Spearman's rank correlation between the objective at a rung and at the end.

    Only trials that went on know their end, the better ones: over all trials the correlation would be higher.

    Attributes:
        epoch: of the rung.
        n_trials: that were ranked.
        correlation, low, high: and its 95 % interval; ``None`` of fewer than 5 trials, or where all are equal.
    """

    epoch: int
    n_trials: int
    correlation: float | None
    low: float | None
    high: float | None


def rungs_of(trials: Iterable[FrozenTrial]) -> list[int]:
    """The epochs at which early stopping has ended trials; one that has ended none was wrong about none."""
    return sorted(
        {last_epoch(trial) for trial in trials if trial.state == TrialState.PRUNED and trial.intermediate_values}
    )


def final_values(trials: Iterable[FrozenTrial], maximise: bool) -> dict[int, float]:
    """Number of each finished trial to its objective."""
    return {trial.number: best_value(trial, maximise) for trial in trials if trial.state == TrialState.COMPLETE}


def agreements(trials: Iterable[FrozenTrial], finals: Mapping[int, float]) -> tuple[Agreement, ...]:
    """An agreement a rung.

    Args:
        finals: number of a trial to what it came to in the end, by itself or when confirmed.
    """
    trials = list(trials)
    return tuple(_agreement(epoch, trials, finals) for epoch in rungs_of(trials))


def _agreement(epoch: int, trials: Iterable[FrozenTrial], finals: Mapping[int, float]) -> Agreement:
    pairs = [
        (trial.intermediate_values[epoch], finals[trial.number])
        for trial in trials
        if trial.number in finals and epoch in trial.intermediate_values
    ]
    n = len(pairs)
    if n < FEWEST_RANKED or any(len(set(side)) == 1 for side in zip(*pairs, strict=True)):
        return Agreement(epoch, n, None, None, None)
    correlation = float(spearmanr(*zip(*pairs, strict=True)).statistic)
    return Agreement(epoch, n, correlation, *_interval(correlation, n))


def _interval(correlation: float, n: int) -> tuple[float, float]:
    """By Fisher's z with Bonett and Wright's variance (2000, doi 10.1007/BF02294183)."""
    # A perfect order has no z; as if one pair of neighbours were swapped.
    nearest = 1 - 12 / (n * (n**2 - 1))
    z = atanh(max(-nearest, min(nearest, correlation)))
    half = 1.96 * sqrt((1 + correlation**2 / 2) / (n - 3))
    return tanh(z - half), tanh(z + half)
