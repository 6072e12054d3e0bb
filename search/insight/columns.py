"""Drawn parameters as the columns of a regression."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial


def other_parameters(trials: Sequence[FrozenTrial], studied: Collection[str]) -> NDArray[np.float64]:
    """(trials, columns) of the parameters that all trials drew, but for those that are studied.

    A number stands as it is searched, on its log scale or not; a choice as an indicator for each value but the first.

    Args:
        studied: parameters, or keys whose parts are parameters, as the teacher layers' ordinals are.
    """
    shared = set.intersection(*(set(trial.distributions) for trial in trials)) if trials else set()
    keys = sorted(key for key in shared if not any(key == one or key.startswith(f"{one}.") for one in studied))
    columns = [column for key in keys for column in _columns(trials, key)]
    return np.array(columns, dtype=float).reshape(len(columns), len(trials)).T


def _columns(trials: Sequence[FrozenTrial], key: str) -> list[list[float]]:
    drawn, distribution = [trial.params[key] for trial in trials], trials[0].distributions[key]
    if isinstance(distribution, CategoricalDistribution):
        return [[float(value == choice) for value in drawn] for choice in distribution.choices[1:]]
    return [[float(np.log(value)) for value in drawn] if getattr(distribution, "log", False) else drawn]
