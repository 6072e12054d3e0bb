"""What draws the next trial of a student.

A sampler lasts for one draw, seeded by the sweep, the student and the trial's number, and finds what else it
needs in the record: a sweep that is resumed or extended draws what an uninterrupted one would. One sampler for
all draws would begin its random numbers anew in every process.
"""

import warnings
import zlib
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial
from scipy.stats import qmc

from search.propose.view import Distributions
from spaces.sections import Search

SMALLEST_GENERATION = 2  # parents of a child


def seed_of(search: Search, student: str, number: int) -> int:
    """The seed of one draw."""
    return zlib.crc32(f"{search.seed}/{student}/{number}".encode())


def sampler_of(search: Search, student: str, number: int, distributions: Distributions) -> BaseSampler:
    """The sampler that draws trial ``number``.

    Args:
        distributions: all that trials of the student may draw.
    """
    seed = seed_of(search, student, number)
    match search.sampler:
        case "random":
            return RandomSampler(seed=seed)
        case "qmc":
            return QuasiRandom(distributions, zlib.crc32(f"{search.seed}/{student}".encode()), number)
        case "nsga2":
            return Generations(population_size=max(SMALLEST_GENERATION, search.startup_trials), seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        tpe = TPESampler(seed=seed, n_startup_trials=search.startup_trials, group=search.group)
    if search.sampler == "tpe":
        return tpe
    # What the two cannot model, conditional parameters and for CMA-ES choices, TPE can.
    model = GPSampler if search.sampler == "gp" else CmaEsSampler
    return model(
        seed=seed, n_startup_trials=search.startup_trials, independent_sampler=tpe, warn_independent_sampling=False
    )


class Generations(NSGAIISampler):
    """NSGA-II whose generations are read from the record alone, known points and warm starts among them."""

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self.get_trial_generation(study, trial)

    def get_parent_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        # Optuna keeps the list with the study, also of trials that a narrower space leaves out.
        return self.select_parent(study, generation) if generation else []


class QuasiRandom(BaseSampler):
    """A point of a scrambled Sobol sequence, a dimension a parameter.

    Optuna's own takes the space from the study's first trial, which here is a known point without half of the
    parameters, and the place in the sequence from a counter that a draw taken again moves on.

    Args:
        seed: of the scrambling, one for all draws of a study.
        number: of the trial, the place in the sequence.
    """

    def __init__(self, distributions: Distributions, seed: int, number: int) -> None:
        sequence = qmc.Sobol(len(distributions), scramble=True, rng=seed)
        if number:
            sequence.fast_forward(number)
        self._point = dict(zip(sorted(distributions), sequence.random(1)[0].tolist(), strict=True))

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return quantile(param_distribution, self._point[param_name])


def quantile(distribution: BaseDistribution, share: float) -> Any:
    """The value below which ``share``, from 0 up to but not 1, of the distribution lies.

    >>> quantile(IntDistribution(1, 4), 0.5)
    3
    """
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(share * len(distribution.choices))]
    assert isinstance(distribution, FloatDistribution | IntDistribution)  # there are no others
    low, high = distribution.low, distribution.high
    if distribution.step is not None and not distribution.log:
        n_values = round((high - low) / distribution.step) + 1
        return min(high, low + int(share * n_values) * distribution.step)  # 0.05 * 19 is over 0.95
    if not distribution.log:
        return low + share * (high - low)
    whole = isinstance(distribution, IntDistribution)
    # A whole number stands for all that rounds to it.
    start, end = (low - 0.5, high + 0.5) if whole else (low, high)
    value = start * (end / start) ** share
    return min(high, max(low, round(value) if whole else value))
