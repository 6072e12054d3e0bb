"""The sizes of a sweep's students: those that a space allows, and those that a limit leaves."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import product
from typing import Any

import optuna
from optuna.samplers import RandomSampler

from spaces.space import Space
from spaces.trial import Model, TrialConfig
from trainables.size import StudentSize, student_size

PREFIX = "model."


def size_params(trial: Mapping[str, Any]) -> dict[str, float]:
    """A trial's size as MLflow shows it, beside the trial's own keys.

    Args:
        trial: dotted keys of a `TrialConfig`.
    """
    size = student_size(TrialConfig.from_flat(dict(trial)).model)
    return {f"size.{name}": value for name, value in asdict(size).items()}


def extreme_sizes(student: str, space: Space) -> list[StudentSize]:
    """The different sizes at the ends of a space's ranges, ascending in flash: the smallest first, the largest last.

    Raises:
        UncountedLayerError: the student has a layer whose flash is not known.
    """
    searched = {key: parameter.extremes for key, parameter in space.parameters.items() if key.startswith(PREFIX)}
    corners = [dict(zip(searched, values, strict=True)) for values in product(*searched.values())]
    sizes = {student_size(_model(student, space.fixed | corner)) for corner in corners}
    return sorted(sizes, key=lambda size: size.flash_kb)


def drawn_sizes(student: str, space: Space, n_layers: int, n: int) -> Iterator[StudentSize]:
    """The sizes of ``n`` random draws.

    Args:
        n_layers: of the deepest teacher.
    """
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    for _ in range(n):
        drawn = space.suggest(study.ask(), n_layers)
        yield student_size(_model(student, drawn))


def _model(student: str, keys: Mapping[str, Any]) -> Model:
    named = {key.removeprefix(PREFIX): value for key, value in keys.items() if key.startswith(PREFIX)}
    return Model.model_validate(named | {"architecture": student})
