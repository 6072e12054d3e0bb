"""Trials drawn from a space, whose objective is a known function of what was drawn."""

from collections.abc import Callable
from typing import Any

import optuna
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial

from search.record.states import TrialState
from spaces.space import Space
from spaces.sweep import SweepConfig
from spaces.trial import TrialConfig

SWEEP = SweepConfig.model_validate(
    {"name": "first", "data": {"path": "clips"}, "students": ["tiny_conv"], "budget": {"epochs": 9}}
)
N_LAYERS = 7
Curve = Callable[[TrialConfig], list[float]]


def drawn(curve: Curve, n_trials: int, space: Space | None = None, seed: int = 0) -> list[FrozenTrial]:
    """Finished trials of tiny_conv's space; ``curve`` gives the objective after each epoch."""
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=seed))
    for number in range(n_trials):
        trial = study.ask()
        values = (space or Space.load("tiny_conv")).suggest(trial, N_LAYERS)
        config = SWEEP.trial_config("tiny_conv", values, number)
        trial.set_user_attr("config", config.flat())
        reports = curve(config)
        for epoch, value in enumerate(reports, start=1):
            trial.report(value, epoch)
        trial.set_user_attr("best", {"val_pauc": max(reports)})
        study.tell(trial, max(reports))
    return study.get_trials()


def reported(
    number: int, values: list[float], state: TrialState = TrialState.FINISHED, config: dict[str, Any] | None = None
) -> FrozenTrial:
    """A trial with these reports, drawn from nowhere."""
    trial = optuna.trial.create_trial(
        state=state.optuna,
        value=max(values) if state is TrialState.FINISHED else None,
        intermediate_values=dict(enumerate(values, start=1)),
        user_attrs={"config": TrialConfig.from_flat(config or {}).flat()},
    )
    trial.number = number
    return trial
