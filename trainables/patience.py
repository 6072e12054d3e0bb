"""Waiting out storage that is full, or away for a while: nothing is lost and no work ends over it."""

import errno
import logging
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Made = TypeVar("Made")

PASSING = {
    errno.ENOSPC, errno.EDQUOT,  # somebody makes room
    errno.EROFS, errno.EIO,  # a disk that its kernel took away, a server that does not answer
    errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.ENETUNREACH, errno.EREMOTEIO,
}  # fmt: skip
"""Errors of a disk or of a network's storage that pass when somebody sees to them."""
SECONDS_BETWEEN_ATTEMPTS = 1.0

log = logging.getLogger(__name__)


def may_pass(error: OSError) -> bool:
    """Whether an error says that storage is full or away, rather than that something is not there or not allowed."""
    return error.errno in PASSING


def tells_of_storage(text: str) -> bool:
    """The same of an error of which only its words are left.

    >>> tells_of_storage("OSError: [Errno 28] No space left on device")
    True
    """
    told = re.match(r"OSError: \[Errno (\d+)\]", text)
    return told is not None and int(told[1]) in PASSING


def patiently(work: Callable[[], Made], what: str, patience_seconds: float) -> Made:
    """What ``work`` returns, done again and again while storage is full or away.

    Args:
        work: may be done any number of times.
        what: is written or read, for the log.

    Raises:
        OSError: as ``work`` raised it, of another kind at once, else when patience is at its end.
    """
    began, told = time.monotonic(), False
    while True:
        try:
            made = work()
        except OSError as error:
            if not may_pass(error) or time.monotonic() - began >= patience_seconds:
                raise
            if not told:
                log.warning("%s waits for storage, up to %g s: %s", what, patience_seconds, error)
            told = True
            time.sleep(SECONDS_BETWEEN_ATTEMPTS)
        else:
            if told:
                log.warning("%s waited %.0f s for storage and goes on", what, time.monotonic() - began)
            return made


class PatientFile:
    """A file that one process appends to, whole pieces or nothing, however full or away its storage is meanwhile.

    Args:
        what: it is, for the log.
        patience_seconds: for each piece.
    """

    def __init__(self, path: Path, what: str, patience_seconds: float) -> None:
        self.path, self._what, self._patience_seconds = path, what, patience_seconds
        self._whole: int | None = None  # the file's size before a piece of which only a part was written
        self._gave_up = False
        path.open("ab").close()

    def append(self, piece: bytes, *, synced: bool) -> None:
        """Add ``piece``.

        Args:
            synced: it is on disk when this returns, and not only with the operating system.

        Raises:
            OSError: patience is at its end, and for later pieces, until one is written again, there is none; the file
                is as it was before, or will be with the next piece.
        """
        patience_seconds = 0.0 if self._gave_up else self._patience_seconds
        self._gave_up = True
        patiently(lambda: self._append(piece, synced), self._what, patience_seconds)
        self._gave_up = False

    def empty(self) -> None:
        """Take out all of it."""
        os.truncate(self.path, 0)
        self._whole = None

    def _append(self, piece: bytes, synced: bool) -> None:
        # Opened for each, because a file that was open when its storage went away often stays unusable.
        with self.path.open("ab", buffering=0) as file:
            if self._whole is not None:
                file.truncate(self._whole)
                self._whole = None
            size = os.fstat(file.fileno()).st_size
            try:
                rest = memoryview(piece)
                while rest:
                    rest = rest[file.write(rest) :]
                if synced:
                    os.fsync(file.fileno())
            except OSError:
                self._whole = size
                raise
