"""A search space as data: a YAML file becomes a define-by-run callable that pickles.

A file names the keys of `TrialConfig` that vary and how, the conditions under which they
apply, the keys held fixed, and the known points that run first::

    parameters:
      distillation.alpha: {low: 0.0, high: 0.95, step: 0.05, default: 0.0}
      distillation.temperature: {low: 1, high: 10, log: true, default: 2, when: {distillation.alpha: positive}}
      distillation.alignment_layers: {max_count: 4, max_stride: 3, default: [2, 4, 6]}
      optimizer.optimizer: {choices: [adamw, sgd], default: adamw}
      model.tcn_num_channels: {low: 8, high: 96, step: 8, default: [16, 32, 64, 64]}
    fixed:
      training.batch_size: 32
    known_points:
      guide: {distillation.alpha: 0.7, distillation.temperature: 4.0}

A space that ``extends`` a shipped one has all that the other has, and its own laid over it; the known points
that it names run in its own order, after those that it does not.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, Self

import pydantic
from pydantic import Field, model_validator

from spaces.documents import read_yaml
from spaces.errors import Fault, InputError, faults_of
from spaces.parameters import Parameter, SuggestingTrial
from spaces.trial import Section, TrialConfig, value_faults

ENABLED, ALPHA = "distillation.enabled", "distillation.alpha"
ALIGNED, LAYERS = "distillation.feature_alignment_enabled", "distillation.alignment_layers"
OF_THE_SWEEP = {
    "model.architecture": "it is the student's name under students",
    "training.epochs": "set budget.epochs or the student's epochs",
    "seed": "set search.seed",
}
SHIPPED_SPACES = sorted(
    entry.name.removesuffix(".yaml") for entry in resources.files("spaces").iterdir() if entry.name.endswith(".yaml")
)


class Space(Section):
    """A search space; see the module's docstring for its file."""

    parameters: dict[str, Parameter]
    fixed: dict[str, Any] = Field(default_factory=dict)
    known_points: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _trials_can_be_drawn(self) -> Self:
        if wrong := [*self._wrong_keys(), *self._wrong_conditions(), *self._wrong_values()]:
            raise ValueError("; ".join(wrong))
        return self

    def _wrong_keys(self) -> Iterator[str]:
        known = set(TrialConfig().flat())
        named = {*self.parameters, *self.fixed, *(key for point in self.known_points.values() for key in point)}
        named |= {key for parameter in self.parameters.values() for key in parameter.when}
        for key in sorted(named):
            if key not in known:
                yield f"{key}: no such key of a trial; see spaces/trial.py for those there are"
            elif key in OF_THE_SWEEP:
                yield f"{key}: the sweep decides it; {OF_THE_SWEEP[key]}"
        for key in sorted(set(self.parameters) & set(self.fixed)):
            yield f"{key}: both searched and fixed; keep one"

    def _wrong_conditions(self) -> Iterator[str]:
        decided = set(self.fixed)
        for key, parameter in self.parameters.items():
            for other in sorted(set(parameter.when) - decided):
                yield f"{key}: its condition {other} is not decided before it; fix {other} or search it further up"
            decided.add(key)

    def _wrong_values(self) -> Iterator[str]:
        tried = [(key, value) for key, parameter in self.parameters.items() for value in parameter.extremes]
        for key, value in [*tried, *self.fixed.items()]:
            yield from (f"{key} = {value!r}: {told}" for told in value_faults(key, value))
        for name, point in self.known_points.items():
            for key, value in point.items():
                told = f"known_points.{name}.{key} = {value!r}"
                if key in self.parameters and not self.parameters[key].holds(value):
                    yield f"{told}: the search cannot draw it; move it or widen the search"
                elif key not in self.parameters and key not in self.fixed:
                    yield f"{told}: is neither searched nor fixed; add it to one of them or drop it"

    @classmethod
    def load(cls, name: str | Path) -> Self:
        """A shipped space by name, or a space's YAML file.

        Raises:
            InputError: neither, or faults in the file.
        """
        shipped = str(name) in SHIPPED_SPACES
        path = Path(str(resources.files("spaces") / f"{name}.yaml")) if shipped else Path(name)
        if not shipped and not path.exists():
            remedy = f"is neither a file nor one of {', '.join(SHIPPED_SPACES)}"
            raise InputError(Fault("search space", "space", str(name), remedy))
        try:
            return cls.model_validate(_extended(read_yaml(path), path))
        except pydantic.ValidationError as error:
            raise InputError([_as_written(fault) for fault in faults_of(error, path)]) from None

    def holding(self, fixed: dict[str, Any]) -> Self:
        """The same space with keys held at a value, no longer searched."""
        tree = self.model_dump()
        tree["parameters"] = {key: parameter for key, parameter in tree["parameters"].items() if key not in fixed}
        tree["fixed"] |= fixed
        return self.model_validate(tree)

    def suggest(self, trial: SuggestingTrial, n_layers: int) -> dict[str, Any]:
        """Draw one trial, define-by-run.

        Args:
            n_layers: of the deepest teacher.

        Returns:
            Flat keys and plain values that `TrialConfig.from_flat` takes.
        """
        values = dict(self.fixed)
        for key, parameter in self.parameters.items():
            if parameter.applies(values):
                values[key] = parameter.suggest(trial, key, n_layers)
        return _canonical(values)

    def enqueued(self, n_layers: int) -> dict[str, dict[str, Any]]:
        """The known points, whole: every parameter that applies, the unnamed ones at their defaults.

        Returns:
            Name to what `optuna.Study.enqueue_trial` takes.
        """
        return {name: self._whole(point, n_layers) for name, point in self.known_points.items()}

    def _whole(self, point: dict[str, Any], n_layers: int) -> dict[str, Any]:
        values = {**point, **self.fixed}
        queued: dict[str, Any] = {}
        for key, parameter in self.parameters.items():
            if not parameter.applies(values):
                continue
            values.setdefault(key, parameter.default)
            queued |= parameter.point(key, values[key], n_layers)
        return queued


def _extended(tree: dict[str, Any], path: Path) -> dict[str, Any]:
    """A space's file with the shipped space that it extends laid under it, section by section."""
    if "extends" not in tree:
        return tree
    own = dict(tree)
    base = own.pop("extends")
    if base not in SHIPPED_SPACES:
        remedy = f"is no shipped space; extend one of {', '.join(SHIPPED_SPACES)}"
        raise InputError(Fault(str(path), "extends", base, remedy))
    under = Space.load(base).model_dump()
    both = {key: under[key] | own[key] for key in under.keys() & own.keys() if isinstance(own[key], dict)}
    if "known_points" in both:
        # In the file's own order, so that one of the other's that it repeats can run after one of its own.
        points = own["known_points"]
        both["known_points"] = {name: at for name, at in both["known_points"].items() if name not in points} | points
    return under | own | both


def _as_written(fault: Fault) -> Fault:
    """A fault without the kind of parameter in its key, which stands in no file."""
    return replace(fault, key=re.sub(r"^(parameters\..+)\.(range|choice|layers|widths)(?=\.|$)", r"\1", fault.key))


def _canonical(values: dict[str, Any]) -> dict[str, Any]:
    """A draw that takes nothing from the teacher is a trial without distillation, and says so."""
    if values.get(ALPHA, 1) == 0 and not values.get(ALIGNED, False):
        return {key: value for key, value in values.items() if not key.startswith("distillation.")} | {ENABLED: False}
    return values
