"""A shipped search space moved over to a configuration: its values in the middle, and the first point that runs."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import pydantic

from spaces.essence import idle_keys
from spaces.layers import LayerOrdinals
from spaces.parameters import LayerSubset, Parameter, Range, Widths
from spaces.space import ALIGNED, ALPHA, ENABLED, LAYERS, OF_THE_SWEEP, Space
from spaces.trial import TrialConfig, value_faults

IMPORTED = "imported"

Tree = dict[str, Any]


def centred(base: str, config: TrialConfig) -> tuple[Tree, Tree]:
    """A space of one's own around a configuration.

    Every parameter of the shipped space that has an effect in the configuration gets its value as default, and a range
    as wide as the shipped one's with the value in its middle: a ratio where it is logarithmic, no further than the
    key's own bounds, and as far as the shipped space's known points. Keys that the shipped space does not search are
    fixed at the configuration's values. A value that no range can hold, such as a decay of 0 on a logarithmic scale,
    or layers that are not evenly spaced, is held instead.

    Args:
        base: name of a shipped space.

    Returns:
        The content of a space file that ``extends`` the shipped one, and the searched keys that are to be held, which
        belong into the sweep file, under the student's ``fixed``.
    """
    space, values = Space.load(base), _drawn(config)
    searched = {key: parameter for key, parameter in space.parameters.items() if key in values}
    parameters, held = {}, {}
    for key, parameter in searched.items():
        named = [point[key] for point in space.known_points.values() if key in point]
        moved = _moved(key, parameter, values[key], named)
        if moved is None:
            held[key] = values[key]
        else:
            parameters[key] = moved
    usual = TrialConfig().flat() | space.fixed
    others = values.keys() - space.parameters.keys() - OF_THE_SWEEP.keys() - {ENABLED}
    tree = {
        "extends": base,
        "parameters": parameters,
        "fixed": {key: values[key] for key in values if key in others and values[key] != usual[key]},
        # Repeated, because those that a file does not name run before those that it does.
        "known_points": {IMPORTED: {key: values[key] for key in parameters}} | space.known_points,
    }
    return tree, held


def _drawn(config: TrialConfig) -> Tree:
    """The keys of a configuration that have an effect, as a space draws them.

    A space searches no ``distillation.enabled``: what takes nothing from the teacher has alpha 0 and no alignment.
    """
    idle = idle_keys(config) | (set() if config.distillation.aligned else {LAYERS})
    values = {key: value for key, value in config.flat().items() if key not in idle}
    nothing = {} if config.distillation.enabled else {ALPHA: 0.0, ALIGNED: False}
    return values | nothing


def _moved(key: str, parameter: Parameter, value: Any, named: Iterable[Any]) -> Tree | None:
    """A parameter's keys as a file has them, with ``value`` in the middle; ``None`` where it cannot hold the value.

    Args:
        named: what the shipped space's known points have there, which must stay within.
    """
    tree = parameter.model_dump(mode="json", exclude_defaults=True) | {"default": value}
    if isinstance(parameter, Range):
        tree |= _log_range(key, parameter, value) if parameter.log else _range(key, parameter, value)
        ends = [tree["low"], tree["high"], *named]
        # Two whole ends would make a range of whole numbers.
        kind = int if isinstance(parameter.low, int) and isinstance(parameter.high, int) else float
        tree |= {"low": kind(min(ends)), "high": kind(max(ends))}
    elif isinstance(parameter, Widths):
        tree |= {"low": min(parameter.low, *value), "high": max(parameter.high, *value), "step": 1}
    elif isinstance(parameter, LayerSubset):
        tree |= _wide_enough(parameter, value)
    tree = {name: part for name, part in tree.items() if part is not None}
    try:
        return tree if type(parameter).model_validate(tree).holds(value) else None
    except pydantic.ValidationError:
        return None


def _log_range(key: str, parameter: Range, value: float) -> Tree:
    ratio = math.sqrt(parameter.high / parameter.low)
    low = _first_valid(key, (_short(value / ratio), *_bounds(key), parameter.low), lambda end: 0 < end <= value, value)
    high = _first_valid(key, (_short(value * ratio), *_bounds(key), parameter.high), lambda end: end >= value, value)
    return {"low": low, "high": high}


def _range(key: str, parameter: Range, value: float) -> Tree:
    half = (parameter.high - parameter.low) / 2
    whole = isinstance(parameter.low, int) and isinstance(parameter.high, int)
    step = parameter.step or (1 if whole else None)
    if step and not _on_grid(value, parameter.low, step):
        step = None
    if step:
        # On the shipped space's grid, where its known points lie.
        reach = range(math.floor(half / step + 1e-9), 0, -1)
        lows, highs = ([_even(value + sign * n * step, whole) for n in reach] for sign in (-1, 1))
    else:
        lows, highs = [value - half, *_bounds(key), parameter.low], [value + half, *_bounds(key), parameter.high]
    low = _first_valid(key, lows, lambda end: end <= value, value)
    high = _first_valid(key, highs, lambda end: end >= value, value)
    return {"low": low, "high": high, "step": None if whole else step}


def _wide_enough(parameter: LayerSubset, layers: list[int]) -> Tree:
    """The maxima of a subset that ``layers`` are one of; the shipped ones where they are of none."""
    try:
        ordinals = LayerOrdinals.of(tuple(layers))
    except ValueError:
        return {}
    return {
        "max_count": max(parameter.max_count, ordinals.count),
        "max_stride": max(parameter.max_stride, ordinals.stride),
    }


def _first_valid(key: str, ends: Iterable[float], is_on_its_side: Callable[[float], bool], value: float) -> float:
    """The first end that the key may have; the value itself where there is none."""
    return next((end for end in ends if is_on_its_side(end) and not value_faults(key, end)), value)


def _bounds(key: str) -> tuple[float, ...]:
    """The key's own inclusive bounds, as its field has them."""
    section, name = key.split(".")
    field = type(getattr(TrialConfig(), section)).model_fields[name]
    return tuple(getattr(bound, end) for bound in field.metadata for end in ("ge", "le") if hasattr(bound, end))


def _on_grid(value: float, low: float, step: float) -> bool:
    n_steps = (value - low) / step
    return abs(n_steps - round(n_steps)) < 1e-6


def _even(value: float, whole: bool) -> float:
    return round(value) if whole else round(value, 10)


def _short(value: float) -> float:
    return float(f"{value:.3g}")
