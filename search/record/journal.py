"""The journal file that Optuna's record lies in, opened to be written by one driver."""

import os
from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend


def open_journal(path: Path) -> JournalStorage:
    """The journal, made where it is missing, without what a driver left that was killed in the middle of a write.

    That is half a line, after which Optuna would never read the file again, and Optuna's lock on it, which the
    next write would wait for until it is 30 s old. Call it where no other driver is at work (`SweepFolder.claimed`).
    """
    Path(f"{path}.lock").unlink(missing_ok=True)
    if path.exists():
        written = path.read_bytes()
        # What has no line break was never wholly written, so it never was.
        if not written.endswith(b"\n"):
            os.truncate(path, written.rfind(b"\n") + 1)
    return JournalStorage(JournalFileBackend(str(path)))
