"""How the objective depends on alpha and temperature together: the data of a heat map."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

import numpy as np
from optuna.trial import FrozenTrial
from scipy.stats import kruskal

from search.insight.columns import other_parameters
from search.insight.comparison import CHANCE, Comparison
from search.insight.regression import adjusted
from spaces.space import ALPHA, ENABLED

TEMPERATURE = "distillation.temperature"
ALPHA_EDGES = (0.0, 0.25, 0.5, 0.75, 1.0)
TEMPERATURE_EDGES = (1.0, 2.0, 4.0, 6.0, 10.0)
"""The guide's words: from 2 moderate, from 4 very soft, from 6 too soft."""
FEWEST_IN_A_CELL = 3


class Bin(NamedTuple):
    """From ``low`` up to ``high``; the highest bin holds its end too."""

    low: float
    high: float


@dataclass(frozen=True)
class Cell:
    """Trials taught by logits with an alpha and a temperature within bins."""

    alpha: Bin
    temperature: Bin
    n_trials: int
    mean: float


@dataclass(frozen=True)
class AlphaTemperature:
    """The mean objective at equal epochs by alpha and temperature.

    Attributes:
        cells: the pairs of bins that hold trials, alpha by alpha.
        n_without, mean_without: of trials that no logits taught, for comparison.
        told_from_chance: whether the cells differ more than chance lets them in 19 of 20 cases, by Kruskal and Wallis'
            test over those of 3 trials or more.
    """

    cells: tuple[Cell, ...]
    n_without: int
    mean_without: float | None
    told_from_chance: bool


def alpha_temperature(compared: Comparison) -> AlphaTemperature:
    """The compared trials by bins, less what the parameters that all of them drew explain of their values linearly.

    Where one of those matters much, as dropout does to tiny_conv, plain means would show who drew it well.
    """
    held = other_parameters(compared.trials, [ALPHA, TEMPERATURE])
    values = adjusted(held, np.array(compared.values)).tolist()
    points = list(zip(map(_taught, compared.trials), values, strict=True))
    by_bins = {
        (Bin(*alpha), Bin(*temperature)): _within(Bin(*alpha), Bin(*temperature), points)
        for alpha in pairwise(ALPHA_EDGES)
        for temperature in pairwise(TEMPERATURE_EDGES)
    }
    without = [value for taught, value in points if taught is None]
    return AlphaTemperature(
        tuple(Cell(*bins, len(values), fmean(values)) for bins, values in by_bins.items() if values),
        len(without),
        fmean(without) if without else None,
        _differ([values for values in by_bins.values() if len(values) >= FEWEST_IN_A_CELL]),
    )


def _differ(groups: list[list[float]]) -> bool:
    all_equal = len({value for values in groups for value in values}) < 2
    return len(groups) > 1 and not all_equal and kruskal(*groups).pvalue < CHANCE


def _taught(trial: FrozenTrial) -> tuple[float, float] | None:
    """Alpha and temperature, or ``None`` where the teacher's logits taught nothing."""
    config = trial.user_attrs["config"]
    return (config[ALPHA], config[TEMPERATURE]) if config[ENABLED] and config[ALPHA] > 0 else None


def _within(alpha: Bin, temperature: Bin, points: Iterable[tuple[tuple[float, float] | None, float]]) -> list[float]:
    return [
        value
        for taught, value in points
        if taught and _holds(alpha, taught[0], ALPHA_EDGES) and _holds(temperature, taught[1], TEMPERATURE_EDGES)
    ]


def _holds(bin: Bin, value: float, edges: tuple[float, ...]) -> bool:
    return bin.low <= value < bin.high or value == bin.high == edges[-1]
