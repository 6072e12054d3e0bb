"""A study as a sampler of the current search space is to see it."""

import copy
from collections.abc import Container, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

Distributions = Mapping[str, BaseDistribution]


class StudyInSpace(optuna.Study):
    """A study's trials as if all had been drawn from the space as it is now.

    A sampler models a parameter only where all trials drew it from one range. So those from a wider space show
    the current ranges, without what an earlier sampler noted for itself in units of the old ones, and those that
    the current space could not have drawn do not show at all. Neither does the trial that is being drawn, nor a
    skipped one, of which nothing is known; unless it broke a constraint, which is something to learn from.

    Args:
        distributions: all that trials of the current space may draw.
        number: of the trial that is being drawn.
    """

    def __init__(self, study: optuna.Study, distributions: Distributions, number: int) -> None:
        super().__init__(study.study_name, study._storage, sampler=study.sampler)
        others = (trial for trial in study.get_trials(deepcopy=False) if trial.number != number)
        shown = (_in_space(trial, distributions) for trial in others)
        # Read once a draw: samplers ask many times.
        self._shown = [trial for trial in shown if trial is not None]

    @property
    def direction(self) -> StudyDirection:
        """Of what trials report, also where size is minimised beside it.

        TPE ranks pruned trials by their last reports, and asks for it; of two directions Optuna knows no such one.
        """
        return self.directions[0]

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        trials = [trial for trial in self._shown if states is None or trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials


def _in_space(trial: FrozenTrial, current: Distributions) -> FrozenTrial | None:
    if "skipped" in trial.user_attrs and not trial.constraints:
        return None
    changed = {name for name, recorded in trial.distributions.items() if current.get(name, recorded) != recorded}
    if not changed:
        return trial
    if outside(trial.params, current):
        return None
    seen = copy.copy(trial)
    seen.distributions = {name: current.get(name, recorded) for name, recorded in trial.distributions.items()}
    if not all(isinstance(current[name], CategoricalDistribution) for name in changed):
        seen.system_attrs = {key: value for key, value in trial.system_attrs.items() if key.startswith("constraints")}
    return seen


def outside(params: Mapping[str, Any], current: Distributions) -> list[str]:
    """The parameters whose value the distributions cannot draw; those that are no longer searched do not count."""
    return [name for name in sorted(params.keys() & current.keys()) if not _draws(current[name], params[name])]


def _draws(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    return distribution._contains(distribution.to_internal_repr(value))
