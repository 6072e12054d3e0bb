"""How one search space differs from another, and whether it only became narrower."""

from collections.abc import Iterator
from math import isclose
from typing import Any, NamedTuple

from spaces.parameters import Choice, LayerSubset, Range, Varying, Widths
from spaces.space import Space

DOES_NOT_MATTER = "default"
"""The field of a parameter that only completes known points, and so changes no draw."""


class Change(NamedTuple):
    """A key that is otherwise than it was recorded.

    Args:
        allowed: what is drawn now could have been drawn before.
    """

    key: str
    recorded: Any
    current: Any
    allowed: bool = False

    @property
    def told(self) -> str:
        """E.g. ``0.95 -> 1.0``."""
        return f"{_told(self.recorded)} -> {_told(self.current)}"


def changes_of(recorded: Space, current: Space) -> Iterator[Change]:
    """Every difference in what two spaces draw, key by key; known points and defaults decide none of it."""
    before = {**recorded.parameters, **recorded.fixed}
    now = {**current.parameters, **current.fixed}
    for key in [*before, *(key for key in now if key not in before)]:
        old, new = before.get(key), now.get(key)
        if isinstance(old, Varying) and isinstance(new, Varying) and type(new) is type(old):
            yield from _fields(key, old, new)
        elif isinstance(old, Varying):
            held = key in current.fixed and old.holds(new)
            yield Change(key, old, new if key in now else "not searched", held)
        elif key not in before or key not in now or old != new:
            yield Change(key, old if key in before else "not searched", new if key in now else "not held")


def _fields(key: str, old: Varying, new: Varying) -> Iterator[Change]:
    for field in type(old).model_fields:
        was, now = getattr(old, field), getattr(new, field)
        if was != now and (field != DOES_NOT_MATTER or _other_blocks(old, new)):
            yield Change(f"{key}.{field}", was, now, _narrows(field, old, new))


def _narrows(field: str, old: Varying, new: Varying) -> bool:
    if isinstance(old, Range) and isinstance(new, Range):
        # Optuna takes a number for whole or not once for a study.
        inside = old.low <= new.low and new.high <= old.high and _is_whole(old) == _is_whole(new)
        return field in ("low", "high", "step") and inside and _on_grid(old, new)
    if isinstance(old, Widths) and isinstance(new, Widths):
        return field in ("low", "high", "step") and set(new.grid) <= set(old.grid)
    if isinstance(old, Choice) and isinstance(new, Choice):
        return field == "choices" and set(new.choices) <= set(old.choices)
    if isinstance(old, LayerSubset) and isinstance(new, LayerSubset):
        return field.startswith("max_") and getattr(new, field) <= getattr(old, field)
    return False


def _other_blocks(old: Varying, new: Varying) -> bool:
    """Whether widths are of more blocks or fewer, which their default says."""
    return isinstance(old, Widths) and isinstance(new, Widths) and len(old.default) != len(new.default)


def _is_whole(numbers: Range) -> bool:
    return isinstance(numbers.low, int) and isinstance(numbers.high, int) and numbers.step is None


def _on_grid(old: Range, new: Range) -> bool:
    """Whether all that ``new`` draws are steps of ``old``."""
    if old.step is None:
        return True
    steps = ((new.low - old.low) / old.step, (new.step or 0) / old.step)
    return new.step is not None and all(isclose(n, round(n), abs_tol=1e-6) for n in steps)


def _told(value: Any) -> str:
    if isinstance(value, Varying):
        return str({name: shown for name, shown in value.model_dump(mode="json", exclude_defaults=True).items()})
    return str(list(value) if isinstance(value, tuple) else value)
