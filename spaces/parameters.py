"""The kinds of parameters that a search space is made of: how each is drawn, and what it can be.

Each is one mapping of a space's YAML, told apart by its keys: a `Range` has ``low`` and ``high``, a `Choice`
``choices``, a `LayerSubset` ``max_count``, and `Widths` are a range whose default is a list.
"""

from dataclasses import asdict
from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import Discriminator, Field, Tag, model_validator

from spaces.layers import LayerOrdinals
from spaces.trial import Section

Plain = bool | int | float | str
Condition = Plain | Literal["positive"]


class SuggestingTrial(Protocol):
    """The part of `optuna.Trial` that a space needs."""

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float: ...
    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...
    def suggest_categorical(self, name: str, choices: Any) -> Any: ...


class Varying(Section):
    """What every parameter has: when it applies, and its value in known points that do not name it."""

    when: dict[str, Condition] = Field(default_factory=dict, description="keys and the value each must have")

    @property
    def extremes(self) -> tuple[Any, ...]:
        """Values between which all others lie."""
        raise NotImplementedError

    def holds(self, value: Any) -> bool:
        """Whether the parameter can take a value."""
        raise NotImplementedError

    def suggest(self, trial: SuggestingTrial, key: str, n_layers: int) -> Any:
        """Draw a plain value for ``key``; ``n_layers`` are those of the deepest teacher."""
        raise NotImplementedError

    def point(self, key: str, value: Any, n_layers: int) -> dict[str, Any]:
        """What the draws of a value are called and must be, as `optuna.Study.enqueue_trial` takes them."""
        return {key: value}

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

    def suggest(self, trial: SuggestingTrial, key: str, n_layers: int) -> Any:
        if isinstance(self.low, int) and isinstance(self.high, int) and self.step is None:
            return trial.suggest_int(key, self.low, self.high, log=self.log)
        drawn = trial.suggest_float(key, float(self.low), float(self.high), step=self.step, log=self.log)
        # 0.1 * 3 is 0.30000000000000004, which would stand so in the exported YAML.
        return round(drawn, 10) if self.step else drawn


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

    def suggest(self, trial: SuggestingTrial, key: str, n_layers: int) -> Any:
        return trial.suggest_categorical(key, self.choices)


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

    def suggest(self, trial: SuggestingTrial, key: str, n_layers: int) -> list[int]:
        count = trial.suggest_int(f"{key}.count", 1, min(self.max_count, n_layers))
        first = trial.suggest_int(f"{key}.first", 0, n_layers - 1)
        # Always drawn, though one layer has no stride: TPE models a parameter best where it is never missing.
        stride = trial.suggest_int(f"{key}.stride", 1, min(self.max_stride, n_layers))
        return list(LayerOrdinals(count, first, stride).layers(n_layers))

    def point(self, key: str, value: Any, n_layers: int) -> dict[str, Any]:
        ordinals = LayerOrdinals.of(LayerOrdinals.of(tuple(value)).layers(n_layers))
        return {f"{key}.{name}": number for name, number in asdict(ordinals).items()}


class Widths(Varying):
    """Channels of each block, between two bounds in steps; as many blocks as the default has."""

    low: int = Field(ge=1)
    high: int
    step: int = Field(8, ge=1)
    default: tuple[int, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _default_can_be_drawn(self) -> Self:
        if not self.holds(self.default):
            raise ValueError(f"default {list(self.default)} is not {self.extent}; change it or move a bound")
        return self

    @property
    def extent(self) -> str:
        return f"{len(self.default)} widths from {self.low} to {self.high} in steps of {self.step}"

    @property
    def extremes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The narrowest and the widest student."""
        # Not ``high`` itself, which the steps may pass over.
        return (self.low,) * len(self.default), (self.grid[-1],) * len(self.default)

    @property
    def grid(self) -> range:
        """The widths that a block may have."""
        return range(self.low, self.high + 1, self.step)

    def scaled(self, multiplier: float) -> Self:
        """The same with a default of ``multiplier`` times the width, each block's rounded down to the grid."""
        narrowed = [
            max((at for at in self.grid if at <= multiplier * width), default=self.low) for width in self.default
        ]
        return self.model_copy(update={"default": tuple(narrowed)})

    def holds(self, value: Any) -> bool:
        is_list = isinstance(value, list | tuple) and len(value) == len(self.default)
        return is_list and all(isinstance(width, int) and width in self.grid for width in value)

    def suggest(self, trial: SuggestingTrial, key: str, n_layers: int) -> list[int]:
        names = _block_names(key, len(self.default))
        return [trial.suggest_int(name, self.low, self.grid[-1], step=self.step) for name in names]

    def point(self, key: str, value: Any, n_layers: int) -> dict[str, Any]:
        return dict(zip(_block_names(key, len(self.default)), value, strict=True))


def _block_names(key: str, n_blocks: int) -> list[str]:
    return [f"{key}.block_{number}" for number in range(1, n_blocks + 1)]


def _kind(value: Any) -> str:
    keys = value if isinstance(value, dict) else value.model_dump() if isinstance(value, Varying) else {}
    if "choices" in keys:
        return "choice"
    if "max_count" in keys:
        return "layers"
    return "widths" if isinstance(keys.get("default"), list | tuple) else "range"


Parameter = Annotated[
    Annotated[Range, Tag("range")]
    | Annotated[Choice, Tag("choice")]
    | Annotated[LayerSubset, Tag("layers")]
    | Annotated[Widths, Tag("widths")],
    Discriminator(_kind),
]
