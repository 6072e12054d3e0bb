"""A sweep's own log file: what happened to each trial, beside what the terminal shows."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGES = ("search", "trainables", "spaces")
EVENTS = logging.getLogger("distune.events")
"""For the file alone: what would only scroll the live table away."""


@contextmanager
def logged_to(file: Path) -> Iterator[None]:
    """Append events, and everything else that distune logs in the block, to ``file``."""
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    loggers = [EVENTS, *(logging.getLogger(package) for package in PACKAGES)]
    EVENTS.propagate = False
    EVENTS.setLevel(logging.INFO)
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()
