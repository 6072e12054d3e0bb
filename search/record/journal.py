"""The journal file that Optuna's record lies in, opened to be written by one driver."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend, JournalFileBackend

from search.record.together import Journal
from trainables.patience import PatientFile, patiently

PATIENCE_SECONDS = 600.0
"""For how long a driver waits for room in the record, or for a disk to come back; then the sweep is interrupted."""


class PatientJournal(BaseJournalBackend):
    """Optuna's own file of one JSON object a line; it waits where that cannot be written, and so does the sweep.

    Without Optuna's lock on the file: `SweepFolder.claimed` leaves one driver, and whoever only reads never locked.
    """

    def __init__(self, path: Path) -> None:
        self._file = PatientFile(path, "the sweep's record", PATIENCE_SECONDS)
        self._reader = JournalFileBackend(str(path))

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """What was written from that number on."""
        return iter(
            patiently(lambda: list(self._reader.read_logs(log_number_from)), "the sweep's record", PATIENCE_SECONDS)
        )

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write; on disk when it returns."""
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        self._file.append(lines.encode(), synced=True)


def open_journal(path: Path) -> Journal:
    """The journal, made where it is missing, without what a driver left that was killed in the middle of a write.

    That is half a line, after which Optuna would never read the file again. Call it where no other driver is at work
    (`SweepFolder.claimed`).
    """
    if path.exists():
        written = path.read_bytes()
        # What has no line break was never wholly written, so it never was.
        if not written.endswith(b"\n"):
            os.truncate(path, written.rfind(b"\n") + 1)
    return Journal(PatientJournal(path))
