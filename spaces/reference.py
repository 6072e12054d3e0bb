"""Every key of a sweep file and of a trial as Markdown, from the schemas; ``make keys`` writes ``docs/keys.md``."""

import inspect
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import annotated_types
from pydantic.fields import FieldInfo

from spaces.sections import Location, Student
from spaces.sweep import SweepConfig
from spaces.trial import Section, TrialConfig

OPENING = """\
# Every key

Made from the schemas by `make keys`; [spaces/sections.py](../spaces/sections.py) and
[spaces/trial.py](../spaces/trial.py) are where they stand. Keys are written with dots here, as `--set` takes them:
`budget.trials` is `trials` under `budget:` in the file. A key that does not exist, or a value out of bounds, is refused
before anything starts.
"""
SWEEP = """
## A sweep file

Only `name`, `data.path` and `students` are needed, and `name` is the file's own where it is left out. Paths are
relative to the file. `STUDENT` stands for a student's name: `tiny_conv`, `mobilenetv3`, `resnet18`.
"""
TRIAL = """
## A trial

What a search space may search ([spaces/tiny_conv.yaml](../spaces/tiny_conv.yaml)), what `students.STUDENT.fixed` may
hold at a value, and what an exported file holds. The shipped spaces set some of these otherwise than the defaults here.
The sweep decides `model.architecture`, `training.epochs` and `seed` itself.
"""
PLAIN = {int: "whole number", float: "number", str: "text", bool: "`true` or `false`", Path: "path", Any: "any value"}


def key_reference() -> str:
    """The whole page."""
    sweep = "\n".join(_section_pages(SweepConfig, "", SWEEP))
    return OPENING + sweep + "\n" + "\n".join(_section_pages(TrialConfig, "", TRIAL))


def keys(section: type[Section], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every dotted key under a section that holds a value, with its field."""
    for name, field in section.model_fields.items():
        inner = _inner_section(field)
        if inner is None:
            yield prefix + name, field
        else:
            yield from keys(inner, f"{prefix}{name}." + ("STUDENT." if inner is Student else ""))


def _section_pages(section: type[Section], prefix: str, opening: str) -> Iterator[str]:
    """A table of the section's own keys under its opening, then the sections within it."""
    yield opening
    own = [(name, field) for name, field in section.model_fields.items() if _inner_section(field) is None]
    if own:
        yield "| key | value | default | meaning |\n|---|---|---|---|"
        yield from (_row(prefix + name, field) for name, field in own)
    for name, field in section.model_fields.items():
        inner = _inner_section(field)
        if inner is not None:
            path = f"{prefix}{name}." + ("STUDENT." if inner is Student else "")
            told = " ".join(inspect.cleandoc(inner.__doc__ or "").split())
            yield from _section_pages(inner, path, f"\n### {path.removesuffix('.')}\n\n{told}\n")


def _row(key: str, field: FieldInfo) -> str:
    meaning = field.description or ""
    cells = (f"`{key}`", _value(field), _default(field), meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    default = field.get_default(call_default_factory=True)
    if default is None:
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return f"`[{', '.join(str(item) for item in default)}]`"
    return f"`{default if default != {} else '{}'}`"


def _value(field: FieldInfo) -> str:
    """What may stand there, e.g. ``whole number, 1 to 64``."""
    bounds = _bounds(field.metadata)
    return _kind(field.annotation) + (f", {bounds}" if bounds else "")


def _kind(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0])
    if arguments == typing.get_args(Path | str):
        return "path or URI"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_kind(part) for part in arguments if part is not type(None))
    if origin is Literal:
        return ", ".join(f"`{str(choice).lower() if isinstance(choice, bool) else choice}`" for choice in arguments)
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"list of {_plural(arguments[0])}"
    if origin is tuple:
        return f"two {_plural(arguments[0])}"
    if origin is dict:
        return "keys and values"
    return PLAIN[annotation]


def _plural(annotation: Any) -> str:
    return {str: "texts", Location: "paths or URIs"}.get(annotation) or f"{PLAIN[annotation]}s"


def _bounds(metadata: list[Any]) -> str:
    told: dict[str, Any] = {}
    for bound in metadata:
        for kind in ("ge", "gt", "le", "lt", "min_length"):
            if isinstance(bound, annotated_types.BaseMetadata) and hasattr(bound, kind):
                told[kind] = getattr(bound, kind)
    if "min_length" in told:
        return f"at least {told['min_length']}"
    if "ge" in told and "le" in told:
        return f"{told['ge']:g} to {told['le']:g}"
    words = {"ge": "from {:g}", "gt": "above {:g}", "le": "to {:g}", "lt": "below {:g}"}
    return ", ".join(words[kind].format(value) for kind, value in told.items())


def _inner_section(field: FieldInfo) -> type[Section] | None:
    """The section that a field holds, also one for each name."""
    for part in (field.annotation, *typing.get_args(field.annotation)):
        if isinstance(part, type) and issubclass(part, Section):
            return part
    return None


if __name__ == "__main__":
    print(key_reference(), end="")
