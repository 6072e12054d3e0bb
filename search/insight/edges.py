"""Parameters whose best values lie at an end of their range, where the range and not the data set them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from search.insight.comparison import FEWEST_TRIALS
from spaces.trial import TrialConfig, value_faults

N_BEST, N_NEAR = 5, 4
AT_THE_END, NEAR = 0.05, 0.2
"""Shares of the range. By chance, the best at an end and 4 of the best 5 near it happens to one parameter in 400."""
A_LITTLE = 1.01


@dataclass(frozen=True)
class Edge:
    """A parameter whose best values lie at an end of its range."""

    key: str
    bound: float
    at_high: bool


def at_an_edge(ranked: Sequence[FrozenTrial]) -> list[Edge]:
    """The parameters of which the best trial is at an end and most of the best five are near it.

    Ends beyond which no trial may go, such as alpha 0 or temperature 10, are left out.

    Args:
        ranked: trials that ended, the best first.
    """
    if len(ranked) < FEWEST_TRIALS:
        return []
    edges = []
    for key, range_ in ranked[0].distributions.items():
        best = [trial.params[key] for trial in ranked if key in trial.params][:N_BEST]
        if not isinstance(range_, FloatDistribution | IntDistribution) or range_.single() or len(best) < N_BEST:
            continue
        for bound, at_high in ((range_.low, False), (range_.high, True)):
            away = [_distance(value, bound, range_) for value in best]
            at_the_end = away[0] <= AT_THE_END and sum(share <= NEAR for share in away) >= N_NEAR
            if at_the_end and not _is_natural(key, range_, at_high):
                edges.append(Edge(key, float(bound), at_high))
    return edges


def _distance(value: float, bound: float, range_: FloatDistribution | IntDistribution) -> float:
    """How far from the bound, as a share of the range, on its log scale if it has one."""
    scale = log if range_.log else float
    return abs(scale(value) - scale(bound)) / (scale(range_.high) - scale(range_.low))


def _is_natural(key: str, range_: FloatDistribution | IntDistribution, at_high: bool) -> bool:
    """Whether a trial may go no further at all; ordinals of a list, such as the layers', end where the list does."""
    bound, away = (range_.high, 1) if at_high else (range_.low, -1)
    if isinstance(range_, IntDistribution):
        beyond = bound + away
    else:
        beyond = bound * A_LITTLE**away if range_.log else bound + away * (range_.high - range_.low) * (A_LITTLE - 1)
    return key not in TrialConfig().flat() or bool(value_faults(key, beyond))
