"""Drawing one trial: a space asks, a queue or a sampler answers.

Not `optuna.Trial`, which writes each parameter as it is asked for: a draw cut short could not be taken again alike,
and a list of choices could never be narrowed, for a storage takes a name's first list for all its trials.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from spaces.space import Space


class Answering(ABC):
    """What a space asks, as Optuna's distributions."""

    @abstractmethod
    def answer(self, name: str, distribution: BaseDistribution) -> Any:
        """A value of the distribution."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return self.answer(name, FloatDistribution(low, high, step=step, log=log))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return self.answer(name, IntDistribution(low, high, step=step, log=log))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self.answer(name, CategoricalDistribution(choices))


class Listing(Answering):
    """Answers the lowest or first, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, BaseDistribution] = {}

    def answer(self, name: str, distribution: BaseDistribution) -> Any:
        self.asked[name] = distribution
        return distribution.to_external_repr(getattr(distribution, "low", 0))


def distributions_of(space: Space, n_layers: int) -> dict[str, BaseDistribution]:
    """All that trials of a space may draw, whatever its conditions.

    Args:
        n_layers: of the deepest teacher.
    """
    listing = Listing()
    always = {key: parameter.model_copy(update={"when": {}}) for key, parameter in space.parameters.items()}
    space.model_copy(update={"parameters": always}).suggest(listing, n_layers)
    return listing.asked


class Draw(Answering):
    """One trial's draw, nothing of which is recorded until `record`.

    Args:
        study: as the sampler is to see it.
        trial: that has begun; what it was enqueued with is not drawn.
    """

    def __init__(self, study: optuna.Study, sampler: BaseSampler, trial: FrozenTrial) -> None:
        self.study, self.sampler, self.trial = study, sampler, trial
        self.queued: Mapping[str, Any] = trial.system_attrs.get("fixed_params", {})
        self.drawn: dict[str, tuple[Any, BaseDistribution]] = {}
        self._jointly: dict[str, Any] | None = None
        sampler.before_trial(study, trial)

    def answer(self, name: str, distribution: BaseDistribution) -> Any:
        if name in self.queued:
            value = self.queued[name]
        elif distribution.single():
            value = distribution.to_external_repr(getattr(distribution, "low", 0))
        elif name in self.jointly:
            value = self.jointly[name]
        else:
            value = self.sampler.sample_independent(self.study, self.trial, name, distribution)
        self.drawn[name] = value, distribution
        return value

    @property
    def jointly(self) -> dict[str, Any]:
        """What the sampler draws at once, when first asked: a known point needs no model."""
        if self._jointly is None:
            space = self.sampler.infer_relative_search_space(self.study, self.trial)
            self._jointly = self.sampler.sample_relative(self.study, self.trial, space)
        return self._jointly

    def record(self, first_choices: Mapping[str, BaseDistribution]) -> None:
        """Write the draw down.

        Args:
            first_choices: what the storage has each name's choices for.
        """
        for name, (value, distribution) in self.drawn.items():
            lasting = first_choices.get(name, distribution)
            self.study._storage.set_trial_param(self.trial._trial_id, name, lasting.to_internal_repr(value), lasting)


def first_choices(study: optuna.Study) -> dict[str, BaseDistribution]:
    """The choices that a study first had for a name, all of which its storage goes on to expect."""
    found: dict[str, BaseDistribution] = {}
    for trial in study.get_trials(deepcopy=False):
        for name, distribution in trial.distributions.items():
            if isinstance(distribution, CategoricalDistribution):
                found.setdefault(name, distribution)
    return found
