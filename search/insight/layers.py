"""What aligning each teacher layer adds."""

from dataclasses import dataclass

import numpy as np
from optuna.trial import FrozenTrial

from search.insight.columns import other_parameters
from search.insight.comparison import Comparison
from search.insight.regression import Effect, effects
from spaces.space import LAYERS
from spaces.trial import TrialConfig


@dataclass(frozen=True)
class LayerEffect:
    """What a layer adds to the objective of a trial that aligns it, among trials that align any.

    Attributes:
        n_trials: that align it.
        effect: ``None`` where the trials cannot tell: too few, or always with the same other layers.
    """

    layer: int
    n_trials: int
    effect: Effect | None


def layer_effects(compared: Comparison) -> tuple[LayerEffect, ...]:
    """Each layer that some trial aligns, by index.

    Least squares of the objective at equal epochs on an indicator a layer, beside every other parameter that all
    aligned trials drew (`search.insight.regression`): a layer's effect is not that of its neighbours in the subsets,
    nor of the learning rate that the sampler happened to pair it with.
    """
    layers_of = {trial.number: set(aligned_layers(trial)) for trial in compared.trials}
    aligned = compared.of(trial for trial in compared.trials if layers_of[trial.number])
    layers = sorted(set().union(*layers_of.values()))
    if not layers:
        return ()
    has = np.array([[layer in layers_of[trial.number] for layer in layers] for trial in aligned.trials], dtype=float)
    found = effects(has, other_parameters(aligned.trials, [LAYERS]), np.array(aligned.values))
    return tuple(
        LayerEffect(layer, int(n_trials), effect)
        for layer, n_trials, effect in zip(layers, has.sum(axis=0), found, strict=True)
    )


def aligned_layers(trial: FrozenTrial) -> tuple[int, ...]:
    return TrialConfig.from_flat(trial.user_attrs["config"]).distillation.aligned
