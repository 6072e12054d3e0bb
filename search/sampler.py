"""What draws the next trial of a student."""

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial

from spaces.sweep import Search


def sampler_of(search: Search, common: IntersectionSearchSpace, seed: int) -> BaseSampler:
    """The sampler of one draw.

    Args:
        common: which parameters all trials of the study share, kept from draw to draw.
        seed: of this draw.
    """
    return KeptSpaceTPE(common, seed, search.startup_trials)


class KeptSpaceTPE(TPESampler):
    """TPE that is told what it would find out anew: which parameters all trials share, from all of them.

    A sampler lasts for one draw (see `SweepRecord._seed_sampler`); what it knows of the trials so far need not.

    Args:
        common: of the study, kept from draw to draw.
    """

    def __init__(self, common: IntersectionSearchSpace, seed: int, n_startup_trials: int) -> None:
        super().__init__(seed=seed, n_startup_trials=n_startup_trials)
        self._common = common

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        found = self._common.calculate(study, use_cache=True)
        return {name: distribution for name, distribution in found.items() if not distribution.single()}
