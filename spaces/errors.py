"""How bad input is reported: every fault at once, each with its remedy."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic

from spaces.secrets import without_password

COMMAND_LINE = "command line"  # the file of a fault in an option or argument


@dataclass(frozen=True)
class Fault:
    """One thing wrong with what the user gave.

    Args:
        file: the file or folder at fault, or ``"command line"``.
        key: dotted key or option within it, ``""`` where the whole file is meant.
        value: what stood there, ``None`` where nothing did.
        remedy: what is wrong and what to do about it, one sentence.
    """

    file: str
    key: str
    value: Any
    remedy: str

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        shown = "" if self.value is None else f" = {self.value!r}"
        return without_password(f"{where}{shown}: {self.remedy}")


class InputError(ValueError):
    """The user's input is refused; the command line exits with status 2."""

    def __init__(self, faults: list[Fault] | Fault) -> None:
        self.faults = [faults] if isinstance(faults, Fault) else faults
        super().__init__("\n".join(str(fault) for fault in self.faults))


def faults_of(error: pydantic.ValidationError, file: str | Path, prefix: str = "") -> list[Fault]:
    """Pydantic's errors as faults of ``file``, one each, keys dotted under ``prefix``."""
    return [_fault(dict(detail), str(file), prefix) for detail in error.errors()]


def _fault(detail: dict[str, Any], file: str, prefix: str) -> Fault:
    key = ".".join([prefix] * bool(prefix) + [str(part) for part in detail["loc"]])
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        message = "unknown key; check its spelling or remove it"
    elif detail["type"] == "missing":
        message = "is missing; add it"
    # A rule over a whole section would print the whole section as its value.
    value = None if isinstance(detail["input"], dict | list) else detail["input"]
    return Fault(file, key, value, message)


@contextmanager
def gathering(faults: list[Fault]) -> Iterator[None]:
    """What is refused in the block is added to ``faults``, and the work goes on after the block."""
    try:
        yield
    except InputError as error:
        faults += error.faults
    except pydantic.ValidationError as error:
        faults += faults_of(error, COMMAND_LINE)


def refuse(faults: list[Fault]) -> None:
    """Raise ``faults``, if there are any.

    Raises:
        InputError: all of them.
    """
    if faults:
        raise InputError(faults)
