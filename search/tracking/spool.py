"""What is yet to be written to MLflow, on disk: a queue that no memory holds, and that outlives a killed driver."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from search.record.states import TrialState
from search.tracking.batch import Batch, Inputs, Point, RunKey, WinningModel


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
        self._path = file
        self._file, self._reader = file.open("ab"), file.open("rb")
        self._untaken = len(whole)
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
            self._file.write(line)
            self._file.flush()
            self._untaken += 1
            self.added.set()

    def take(self, most: int) -> list[Batch]:
        """The next batches, ``most`` at most."""
        with self._lock:
            n_taken = min(most, self._untaken)
            self._untaken -= n_taken
            lines = [self._reader.readline() for _ in range(n_taken)]
            if not self._untaken:
                self.added.clear()
        return [_batch(line) for line in lines]

    def left(self) -> Iterator[Batch]:
        """What was not taken, which stays."""
        with self._lock:
            n_left, place = self._untaken, self._reader.tell()
        with self._path.open("rb") as reader:
            reader.seek(place)
            for _ in range(n_left):
                yield _batch(reader.readline())

    def clear_if(self, all_is_written: Callable[[], bool]) -> None:
        """Forget everything, unless something was added meanwhile."""
        with self._lock:
            if self._reader.tell() and not self._untaken and all_is_written():
                self._file.truncate(0)
                # Another one, for this one's buffer holds what was there.
                self._reader.close()
                self._reader = self._path.open("rb")

    def close(self) -> None:
        self._file.close()
        self._reader.close()


def _batch(line: bytes) -> Batch:
    told = json.loads(line)
    told |= {"run": RunKey(*told["run"]), "points": [Point(*point) for point in told["points"]]}
    told["state"] = told["state"] and TrialState(told["state"])
    for key, kind in (("inputs", Inputs), ("model", WinningModel)):
        told[key] = told.get(key) and kind(**told[key])
    return Batch(**told)
