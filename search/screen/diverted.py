"""Keeping what others write out of the terminal: Ray's own processes and C++ code know no logger to silence."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal, TextIO

from search.log import libraries_logged_to

DESCRIPTORS: dict[Literal["stdout", "stderr"], int] = {"stdout": 1, "stderr": 2}


@contextmanager
def diverted(log: Path) -> Iterator[None]:
    """Append to ``log`` what libraries log, or write to the descriptors of standard output and error, in the block.

    ``sys.stdout`` and ``sys.stderr`` still reach the user, so a live table is torn by nothing but what goes through it.
    """
    # Ray brings its handler when it starts, which is later than the log was opened.
    with ExitStack() as stack, log.open("ab") as file:
        stack.enter_context(libraries_logged_to(log))
        for name, number in DESCRIPTORS.items():
            stack.enter_context(_diverted(name, number, file.fileno()))
        yield


@contextmanager
def own_stdout() -> Iterator[TextIO]:
    """Standard output for us alone; whatever else is printed in the block goes to standard error."""
    before = sys.stdout
    with ExitStack() as stack:
        if _writes_to(before, DESCRIPTORS["stdout"]):
            before.flush()
            number = os.dup(DESCRIPTORS["stdout"])
            ours: TextIO = stack.enter_context(open(number, "w", encoding="utf-8", buffering=1))
        else:
            ours = before
        sys.stdout = sys.stderr
        try:
            yield ours
        finally:
            sys.stdout = before


@contextmanager
def _diverted(name: Literal["stdout", "stderr"], number: int, target: int) -> Iterator[None]:
    before = getattr(sys, name)
    before.flush()
    saved = os.dup(number)
    with open(saved, "w", encoding=before.encoding, errors=before.errors, buffering=1) as ours:
        os.dup2(target, number)
        if is_ours := _writes_to(before, number):
            setattr(sys, name, ours)
        try:
            yield
        finally:
            if is_ours:
                ours.flush()
                setattr(sys, name, before)
            os.dup2(saved, number)


def _writes_to(stream: TextIO, number: int) -> bool:
    try:
        return stream.fileno() == number
    except (AttributeError, io.UnsupportedOperation):
        return False
