"""The sizes of a sweep's students: those that a space allows, and those that a limit leaves."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import product
from typing import Any

import optuna
from optuna.samplers import RandomSampler

from spaces.parameters import Widths
from spaces.space import Space
from spaces.trial import Model, TrialConfig
from trainables.size import StudentSize, student_size

PREFIX = "model."
MULTIPLIERS = [sixteenths / 16 for sixteenths in range(16, -1, -1)]


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


def narrowed(student: str, space: Space, max_flash_kb: float | None) -> Space:
    """The space with its default widths narrowed as little as makes them meet a limit, or as far as they go.

    All blocks by the same width multiplier (Howard et al. 2017, MobileNets, arXiv 1704.04861), so that known points
    that name no widths are of the shape that they are known for.
    """
    found, searched = space, {key: each for key, each in space.parameters.items() if isinstance(each, Widths)}
    for multiplier in MULTIPLIERS:
        scaled = {key: each.scaled(multiplier) for key, each in searched.items()}
        found = space.model_copy(update={"parameters": space.parameters | scaled})
        defaults = {key: parameter.default for key, parameter in found.parameters.items()}
        if max_flash_kb is None or student_size(_model(student, space.fixed | defaults)).flash_kb <= max_flash_kb:
            break
    return found


def _model(student: str, keys: Mapping[str, Any]) -> Model:
    named = {key.removeprefix(PREFIX): value for key, value in keys.items() if key.startswith(PREFIX)}
    return Model.model_validate(named | {"architecture": student})
