"""Least squares: effects with their uncertainty, and values without what other columns explain."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from search.insight.comparison import CHANCE

FEWEST_FREEDOM = 5
"""Trials beyond the number of coefficients, under which an interval says more about luck than about trials."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Effect:
    """What one thing adds to the objective, others held, in the objective's unit, and its interval."""

    mean: float
    low: float
    high: float

    @property
    def told_from_chance(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def effects(indicators: Floats, held: Floats, values: Floats) -> list[Effect | None]:
    """What each indicator adds to the values, all other columns held.

    Ordinary least squares with an intercept; intervals by Student's t, widened by Bonferroni so that all of them hold
    together in 95 % of cases: of ten layers that do nothing, one would seem to in 40 % otherwise. Shrunken estimates
    (Bayesian ridge) were tried: at 25 trials of 7 layers their 95 % intervals held the truth in 87 %, these in 93 %.

    Args:
        indicators: (trials, k), the columns of interest.
        held: (trials, m), what else explains the values.
        values: (trials,).

    Returns:
        An effect a column; ``None`` for one that the trials cannot separate from the others, and for all where the
        trials are too few for the columns.
    """
    n_columns = indicators.shape[1]
    design = np.column_stack([indicators, _with_intercept(held)])
    rank = np.linalg.matrix_rank(design)
    freedom = len(values) - rank
    if freedom < FEWEST_FREEDOM:
        return [None] * n_columns
    inverse = np.linalg.pinv(design)
    coefficients = inverse @ values
    variance = np.sum((values - design @ coefficients) ** 2) / freedom
    quantile = student_t.ppf(1 - CHANCE / (2 * n_columns), freedom)
    halves = quantile * np.sqrt(variance * np.sum(inverse**2, axis=1))
    found: list[Effect | None] = []
    for column, (mean, half) in enumerate(zip(coefficients[:n_columns], halves, strict=False)):
        separable = np.linalg.matrix_rank(np.delete(design, column, axis=1)) < rank
        found.append(Effect(float(mean), float(mean - half), float(mean + half)) if separable else None)
    return found


def adjusted(held: Floats, values: Floats) -> Floats:
    """(trials,) values without what the held columns explain, around the same mean; as they are of too few trials."""
    if len(values) < FEWEST_FREEDOM:
        return values
    design = _with_intercept(held)
    if len(values) - np.linalg.matrix_rank(design) < FEWEST_FREEDOM:
        return values
    coefficients = np.linalg.pinv(design) @ values
    return values - design @ coefficients + values.mean()


def _with_intercept(held: Floats) -> Floats:
    """The columns that vary, each with mean 0 and standard deviation 1, and one of ones."""
    scale = held.std(axis=0)
    varying = held[:, scale > 0]
    return np.column_stack([(varying - varying.mean(axis=0)) / scale[scale > 0], np.ones(len(held))])
