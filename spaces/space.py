"""A search space as data: a YAML file becomes a define-by-run callable that pickles.

A file names the keys of `TrialConfig` that vary and how, the conditions under which they
apply, the keys held fixed, and the known points that run first::

    parameters:
      distillation.alpha: {low: 0.0, high: 0.95, step: 0.05, default: 0.0}
      distillation.temperature: {low: 1, high: 10, log: true, default: 2, when: {distillation.alpha: positive}}
      distillation.alignment_layers: {max_count: 4, max_stride: 3, default: [2, 4, 6]}
      optimizer.optimizer: {choices: [adamw, sgd], default: adamw}
    fixed:
      training.batch_size: 32
    known_points:
      guide: {distillation.alpha: 0.7, distillation.temperature: 4.0}
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, Self

import pydantic
from pydantic import Discriminator, Field, Tag, model_validator

from spaces.errors import Fault, InputError, faults_of, read_yaml
from spaces.layers import DEEPEST_LAYER, LayerOrdinals
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
Plain = bool | int | float | str
Condition = Plain | Literal["positive"]


class SuggestingTrial(Protocol):
    """The part of `optuna.Trial` that a space needs."""

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float: ...
    def suggest_int(self, name: str, low: int, high: int, *, log: bool) -> int: ...
    def suggest_categorical(self, name: str, choices: Any) -> Any: ...


class Varying(Section):
    """What every parameter has: when it applies, and its value in known points that do not name it."""

    when: dict[str, Condition] = Field(default_factory=dict, description="keys and the value each must have")

    def holds(self, value: Any) -> bool:
        """Whether the parameter can take a value."""
        raise NotImplementedError

    def applies(self, values: dict[str, Any]) -> bool:
        """Whether all conditions hold among the values drawn so far."""
        return all(
            values.get(key, 0) > 0 if wanted == "positive" else values.get(key) == wanted
            for key, wanted in self.when.items()
        )


class Range(Varying):
    """A number between two bounds, both included; whole where both bounds are."""

    low: int | float
    high: int | float
    log: bool = False
    step: float | None = Field(None, gt=0)
    default: int | float

    @model_validator(mode="after")
    def _bounds_make_sense(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}; swap them")
        if not self.holds(self.default):
            raise ValueError(f"default {self.default:g} is not within {self.low:g} to {self.high:g}; move one of them")
        if self.log and (self.low <= 0 or self.step):
            raise ValueError("a log range starts above 0 and has no step; raise low, drop step, or drop log")
        return self

    def holds(self, value: Any) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high

    @property
    def extremes(self) -> tuple[Any, ...]:
        return self.low, self.high

    def suggest(self, trial: SuggestingTrial, key: str) -> Any:
        if isinstance(self.low, int) and isinstance(self.high, int) and self.step is None:
            return trial.suggest_int(key, self.low, self.high, log=self.log)
        drawn = trial.suggest_float(key, float(self.low), float(self.high), step=self.step, log=self.log)
        # 0.1 * 3 is 0.30000000000000004, which would stand so in the exported YAML.
        return round(drawn, 10) if self.step else drawn

    def point(self, key: str, value: Any) -> dict[str, Any]:
        return {key: value}


class Choice(Varying):
    """One of a few values."""

    choices: tuple[Plain, ...] = Field(min_length=1)
    default: Plain

    @model_validator(mode="after")
    def _default_is_a_choice(self) -> Self:
        if not self.holds(self.default):
            raise ValueError(f"default {self.default!r} is none of {list(self.choices)}; choose one of them")
        return self

    def holds(self, value: Any) -> bool:
        return value in self.choices

    @property
    def extremes(self) -> tuple[Any, ...]:
        return self.choices

    def suggest(self, trial: SuggestingTrial, key: str) -> Any:
        return trial.suggest_categorical(key, self.choices)

    def point(self, key: str, value: Any) -> dict[str, Any]:
        return {key: value}


class LayerSubset(Varying):
    """Evenly spaced teacher layers, searched as three ordinals."""

    max_count: int = Field(4, ge=1)
    max_stride: int = Field(3, ge=1)
    default: tuple[int, ...]

    @model_validator(mode="after")
    def _default_can_be_drawn(self) -> Self:
        if not self.holds(self.default):
            raise ValueError(f"default {list(self.default)} is not {self.extent}; change it or raise a maximum")
        return self

    @property
    def extent(self) -> str:
        return f"1 to {self.max_count} ascending layers, all 1 to {self.max_stride} apart"

    def holds(self, value: Any) -> bool:
        try:
            ordinals = LayerOrdinals.of(tuple(value))
        except (TypeError, ValueError):
            return False
        return ordinals.count <= self.max_count and ordinals.stride <= self.max_stride

    @property
    def extremes(self) -> tuple[Any, ...]:
        return (self.default,)

    def suggest_layers(self, trial: SuggestingTrial, key: str, n_layers: int) -> tuple[int, ...]:
        count = trial.suggest_int(f"{key}.count", 1, min(self.max_count, n_layers), log=False)
        first = trial.suggest_int(f"{key}.first", 0, n_layers - 1, log=False)
        # Always drawn, though one layer has no stride: TPE models a parameter best where it is never missing.
        stride = trial.suggest_int(f"{key}.stride", 1, min(self.max_stride, n_layers), log=False)
        return LayerOrdinals(count, first, stride).layers(n_layers)

    def point(self, key: str, value: Any, n_layers: int = DEEPEST_LAYER) -> dict[str, Any]:
        ordinals = LayerOrdinals.of(LayerOrdinals.of(tuple(value)).layers(n_layers))
        return {f"{key}.{name}": number for name, number in asdict(ordinals).items()}


def _kind(value: Any) -> str:
    keys = value if isinstance(value, dict) else type(value).model_fields if isinstance(value, Varying) else ()
    return "choice" if "choices" in keys else "layers" if "max_count" in keys else "range"


Parameter = Annotated[
    Annotated[Range, Tag("range")] | Annotated[Choice, Tag("choice")] | Annotated[LayerSubset, Tag("layers")],
    Discriminator(_kind),
]


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
            return cls.model_validate(read_yaml(path))
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
            if not parameter.applies(values):
                continue
            if isinstance(parameter, LayerSubset):
                values[key] = list(parameter.suggest_layers(trial, key, n_layers))
            else:
                values[key] = parameter.suggest(trial, key)
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
            if isinstance(parameter, LayerSubset):
                queued |= parameter.point(key, values[key], n_layers)
            else:
                queued |= parameter.point(key, values[key])
        return queued


def _as_written(fault: Fault) -> Fault:
    """A fault without the kind of parameter in its key, which stands in no file."""
    return replace(fault, key=re.sub(r"^(parameters\..+)\.(range|choice|layers)(?=\.|$)", r"\1", fault.key))


def _canonical(values: dict[str, Any]) -> dict[str, Any]:
    """A draw that takes nothing from the teacher is a trial without distillation, and says so."""
    if values.get(ALPHA, 1) == 0 and not values.get(ALIGNED, False):
        return {key: value for key, value in values.items() if not key.startswith("distillation.")} | {ENABLED: False}
    return values

