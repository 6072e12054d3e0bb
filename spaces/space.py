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

from dataclasses import asdict
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
        if not self.low <= self.default <= self.high:
            raise ValueError(f"default {self.default} is not within {self.low} to {self.high}")
        if self.log and (self.low <= 0 or self.step):
            raise ValueError("a log range starts above 0 and has no step")
        return self

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
    def _keys_are_trial_keys(self) -> Self:
        known = set(TrialConfig().flat())
        points = {f"known_points.{name}.{key}" for name, point in self.known_points.items() for key in point}
        named = {*self.parameters, *self.fixed} | {name.split(".", 2)[2] for name in points}
        named |= {key for parameter in self.parameters.values() for key in parameter.when}
        if unknown := sorted(named - known):
            raise ValueError(f"{', '.join(unknown)}: no such key of a trial; see spaces/trial.py for those there are")
        tried = [(key, value) for key, parameter in self.parameters.items() for value in parameter.extremes]
        tried += list(self.fixed.items())
        wrong = [f"{key} = {value!r}: {told}" for key, value in tried for told in value_faults(key, value)]
        if wrong:
            raise ValueError("; ".join(wrong))
        if twice := sorted(set(self.parameters) & set(self.fixed)):
            raise ValueError(f"{', '.join(twice)}: both searched and fixed; keep one")
        return self

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
            raise InputError(faults_of(error, path)) from None

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


def _canonical(values: dict[str, Any]) -> dict[str, Any]:
    """A draw that takes nothing from the teacher is a trial without distillation, and says so."""
    if values.get(ALPHA, 1) == 0 and not values.get(ALIGNED, False):
        return {key: value for key, value in values.items() if not key.startswith("distillation.")} | {ENABLED: False}
    return values

