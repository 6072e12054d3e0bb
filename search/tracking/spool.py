"""What may not have reached MLflow yet, on disk: neither a killed driver nor a server that stays away loses it."""

import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from search.record.states import TrialState
from search.tracking.batch import Batch, Point, RunKey


class Spool:
    """A file of batches, a line each, for one driver at a time.

    Lines go to the operating system and no further: they outlive the process, not the machine.
    """

    def __init__(self, file: Path) -> None:
        lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
        whole = [line for line in lines if line.endswith(b"\n")]
        if whole != lines:
            os.truncate(file, sum(map(len, whole)))
        self.left = [_batch(line) for line in whole]
        """What an earlier driver left, which stays in the file until it is written."""
        self._lock = threading.Lock()
        self._file = file.open("a", encoding="utf-8")

    def add(self, batch: Batch) -> None:
        with self._lock:
            self._file.write(json.dumps(asdict(batch)) + "\n")
            self._file.flush()

    def clear_if(self, all_is_written: Callable[[], bool]) -> None:
        """Forget everything, unless something was added meanwhile."""
        with self._lock:
            if all_is_written():
                self._file.truncate(0)

    def close(self) -> None:
        self._file.close()


def _batch(line: bytes) -> Batch:
    told = json.loads(line)
    told |= {"run": RunKey(*told["run"]), "points": [Point(*point) for point in told["points"]]}
    return Batch(**told | {"state": told["state"] and TrialState(told["state"])})
