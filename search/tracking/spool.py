"""What is yet to be written to MLflow, on disk: a queue that no memory holds, and that outlives a killed driver."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from search.record.states import TrialState
from search.tracking.batch import Batch, Inputs, Point, RunKey, WinningModel
from trainables.patience import PatientFile, may_pass

PATIENCE_SECONDS = 600.0
"""For how long a driver waits for a full disk, or one that is away, as it does for its record."""


class Spool:
    """A file of batches, a line each, for one driver at a time: added by any thread, taken in order by one.

    What was taken stays in the file until all of it is written, so that an earlier driver's rest comes first. Lines go
    to the operating system and no further: they outlive the process, not the machine.
    """

    def __init__(self, file: Path) -> None:
        lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
        whole = [line for line in lines if line.endswith(b"\n")]
        if whole != lines:
            os.truncate(file, sum(map(len, whole)))
        self._lock = threading.Lock()
        self._path, self._file = file, PatientFile(file, "the spool of MLflow's points", PATIENCE_SECONDS)
        self._taken_bytes, self._untaken = 0, len(whole)
        self.added = threading.Event()
        """Set while there may be something to take."""
        if whole:
            self.added.set()

    @property
    def untaken(self) -> int:
        """Batches that were not taken yet."""
        return self._untaken

    def add(self, batch: Batch) -> None:
        line = json.dumps(asdict(batch)).encode() + b"\n"
        with self._lock:
            self._file.append(line, synced=False)
            self._untaken += 1
            self.added.set()

    def take(self, most: int) -> list[Batch]:
        """The next batches, ``most`` at most; none while the storage is away."""
        with self._lock:
            try:
                lines = self._read(min(most, self._untaken))
            except OSError as error:
                if not may_pass(error):
                    raise
                return []
            self._taken_bytes += sum(map(len, lines))
            self._untaken -= len(lines)
            if not self._untaken:
                self.added.clear()
        return [_batch(line) for line in lines]

    def left(self) -> Iterator[Batch]:
        """What was not taken, which stays."""
        with self._lock:
            lines = self._read(self._untaken)
        yield from map(_batch, lines)

    def clear_if(self, all_is_written: Callable[[], bool]) -> None:
        """Forget everything, unless something was added meanwhile."""
        with self._lock:
            if self._taken_bytes and not self._untaken and all_is_written():
                with suppress(OSError):  # next time
                    self._file.empty()
                    self._taken_bytes = 0

    def _read(self, n: int) -> list[bytes]:
        """The next ``n`` lines."""
        with self._path.open("rb") as reader:
            reader.seek(self._taken_bytes)
            return [reader.readline() for _ in range(n)]


def _batch(line: bytes) -> Batch:
    told = json.loads(line)
    told |= {"run": RunKey(*told["run"]), "points": [Point(*point) for point in told["points"]]}
    told["state"] = told["state"] and TrialState(told["state"])
    for key, kind in (("inputs", Inputs), ("model", WinningModel)):
        told[key] = told.get(key) and kind(**told[key])
    return Batch(**told)
