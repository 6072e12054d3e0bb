"""A sweep's own log file: what happened to each trial, and what libraries had to say."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PACKAGES = ("search", "trainables", "spaces")
LIBRARIES = ("ray", "optuna", "mlflow", "alembic", "transformers")
"""Loggers that bring a handler of their own, which would write to the terminal."""
EVENTS = logging.getLogger("distune.events")
"""For the file alone: what would only scroll the live table away."""


@contextmanager
def logged_to(file: Path) -> Iterator[None]:
    """Append events, and everything else that is logged in the block, to ``file``.

    What libraries log goes nowhere else; what distune logs goes to the user too.
    """
    handler = _handler(file)
    loggers = [EVENTS, *(logging.getLogger(package) for package in PACKAGES)]
    EVENTS.propagate = False
    EVENTS.setLevel(logging.INFO)
    for logger in loggers:
        logger.addHandler(handler)
    try:
        with _root_logged_to(file), libraries_logged_to(file):
            yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()


@contextmanager
def libraries_logged_to(file: Path) -> Iterator[None]:
    """Append what the libraries that bring handlers log in the block to ``file``, and nowhere else."""
    handler = _handler(file)
    own = [logging.getLogger(name) for name in LIBRARIES]
    before = [(logger, logger.handlers, logger.propagate) for logger in own]
    for logger in own:
        logger.handlers, logger.propagate = [handler], False
    try:
        yield
    finally:
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate
        handler.close()


@contextmanager
def _root_logged_to(file: Path) -> Iterator[None]:
    """Of all others, what reaches the root, where distune's own messages are not wanted twice."""
    handler = _handler(file)
    handler.addFilter(lambda record: record.name.split(".")[0] not in PACKAGES)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def from_distune(record: logging.LogRecord) -> bool:
    """Whether a message is for the user, who can do nothing about what a library warns of."""
    return record.name.split(".")[0] in PACKAGES or record.levelno >= logging.ERROR


class _LogFile(logging.FileHandler):
    """A file that is no end of anything when its disk is full: lines without room are left out."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)

    def close(self) -> None:
        with suppress(OSError):
            super().close()


def _handler(file: Path) -> logging.FileHandler:
    handler = _LogFile(file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    return handler
