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
    the current space could not have drawn do not show at all. Neither does the trial that is being drawn. The limit
    on size as it is now shows as a constraint, and skipped trials only where they break it, which is all that is
    known of them.

    Args:
        distributions: all that trials of the current space may draw.
        number: of the trial that is being drawn.
        max_flash_kb: the limit on size, if there is one.
    """

    def __init__(
        self, study: optuna.Study, distributions: Distributions, number: int, max_flash_kb: float | None = None
    ) -> None:
        super().__init__(study.study_name, study._storage, sampler=study.sampler)
        others = (trial for trial in study.get_trials(deepcopy=False) if trial.number != number)
        in_space = (_in_space(trial, distributions) for trial in others)
        shown = (_limited(trial, max_flash_kb) for trial in in_space if trial is not None)
        # Read once a draw: samplers ask many times.
        self._shown = [trial for trial in shown if "skipped" not in trial.user_attrs or _breaks_a_limit(trial)]

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
    changed = {name for name, recorded in trial.distributions.items() if current.get(name, recorded) != recorded}
    if not changed:
        return trial
    if outside(trial.params, current):
        return None
    seen = copy.copy(trial)
    seen.distributions = {name: current.get(name, recorded) for name, recorded in trial.distributions.items()}
    if not all(isinstance(current[name], CategoricalDistribution) for name in changed):
        seen.system_attrs = {}
    return seen


def _limited(trial: FrozenTrial, max_flash_kb: float | None) -> FrozenTrial:
    if max_flash_kb is None or "size" not in trial.user_attrs:
        return trial
    limited = copy.copy(trial)
    limited.system_attrs = dict(trial.system_attrs)
    limited.set_constraint("max_flash_kb", trial.user_attrs["size"]["flash_kb"] - max_flash_kb)
    return limited


def _breaks_a_limit(trial: FrozenTrial) -> bool:
    return any(excess > 0 for excess in trial.constraints.values())


def outside(params: Mapping[str, Any], current: Distributions) -> list[str]:
    """The parameters whose value the distributions cannot draw; those that are no longer searched do not count."""
    return [name for name in sorted(params.keys() & current.keys()) if not _draws(current[name], params[name])]


def _draws(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    return distribution._contains(distribution.to_internal_repr(value))
