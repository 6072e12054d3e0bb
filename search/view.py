"""A study as a sampler of the current search space is to see it."""

import copy
from collections.abc import Container, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from spaces.space import Space

Distributions = Mapping[str, BaseDistribution]


class _Listing:
    """Stands for a trial, and notes what it is asked for."""

    def __init__(self) -> None:
        self.found: dict[str, BaseDistribution] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        self.found[name] = FloatDistribution(low, high, step=step, log=log)
        return low

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        self.found[name] = IntDistribution(low, high, step=step, log=log)
        return low

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.found[name] = CategoricalDistribution(choices)
        return choices[0]


def distributions_of(space: Space, n_layers: int) -> dict[str, BaseDistribution]:
    """All that trials of a space may draw, whatever its conditions.

    Args:
        n_layers: of the deepest teacher.
    """
    listing = _Listing()
    always = {key: parameter.model_copy(update={"when": {}}) for key, parameter in space.parameters.items()}
    space.model_copy(update={"parameters": always}).suggest(listing, n_layers)
    return listing.found


class StudyInSpace(optuna.Study):
    """A study's trials as if all had been drawn from the space as it is now.

    A sampler models a parameter only where all trials drew it from one range. So those from a wider space show
    the current ranges, without what an earlier sampler noted for itself in units of the old ones, and those that
    the current space could not have drawn do not show at all. Neither do skipped draws, of which nothing is known
    but that they break a constraint, where they do.

    Args:
        sampler: that draws; the study keeps its own.
        distributions: of the current space.
    """

    def __init__(self, study: optuna.Study, sampler: BaseSampler, distributions: Distributions) -> None:
        super().__init__(study.study_name, study._storage, sampler=sampler)
        shown = (_in_space(trial, distributions) for trial in study.get_trials(deepcopy=False))
        # Read once a draw: a sampler asks many times, and its own trial is all that changes.
        self._shown = [trial for trial in shown if trial is not None]

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        trials = [trial for trial in self._shown if states is None or trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials


def _in_space(trial: FrozenTrial, distributions: Distributions) -> FrozenTrial | None:
    if "skipped" in trial.user_attrs and not trial.constraints:
        return None
    drawn = trial.distributions
    if all(distributions.get(name) == drawn[name] for name in drawn):
        return trial
    if outside(trial.params, distributions):
        return None
    narrowed = copy.copy(trial)
    narrowed.distributions = {name: distributions.get(name, drawn[name]) for name in drawn}
    narrowed.system_attrs = {key: value for key, value in trial.system_attrs.items() if key.startswith("constraints")}
    return narrowed


def outside(params: Mapping[str, Any], distributions: Distributions) -> Sequence[str]:
    """The parameters whose value the distributions cannot draw; those that are no longer searched do not count."""
    return [name for name in params.keys() & distributions.keys() if not _draws(distributions[name], params[name])]


def _draws(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    return distribution._contains(distribution.to_internal_repr(value))
