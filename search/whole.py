"""Folders that are whole or not there."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder beside ``path`` to fill, which takes its place if all goes well, and else is gone.

    Raises:
        OSError: it cannot be made, or ``path`` is there and not an empty folder.
    """
    path = path.absolute()
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    shutil.rmtree(new, ignore_errors=True)
    try:
        new.mkdir(parents=True)
        yield new
        # An empty folder gives way; onto another the renaming fails.
        new.rename(path)
    finally:
        shutil.rmtree(new, ignore_errors=True)
