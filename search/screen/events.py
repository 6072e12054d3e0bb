"""A sweep as a stream of events, one JSON object a line: what ``--json`` writes to standard output.

Every event has ``event``, its kind, and ``time``, seconds since 1970. Seconds are seconds, an unknown value is null.

=============  ======================================================================================================
step           work before the trials: ``step``, ``state`` (started, progress, done), ``done`` and ``of`` of progress
message        what the terminal would say on the way: ``level`` (info, warning, error), ``text``
sweep_started  ``sweep``, ``stage`` (search, confirm), ``metric``, ``mode``, and of each of ``students`` ``target``,
               ``epochs``, ``rungs``, ``reduction_factor`` and ``ended``, its trials of earlier runs
trial_started  ``student``, ``trial``, ``epoch`` (what it has behind it)
epoch          ``student``, ``trial``, ``epoch``, ``objective``, ``where`` (machine and GPU)
trial_ended    ``student``, ``trial``, ``state`` (finished, pruned, failed, interrupted), ``epoch``, ``objective``,
               ``f1``, ``reason``; ``done``, ``target`` and ``best`` of the student, ``running``, ``seconds_left``
sweep_ended    ``sweep``, ``stage``: its trials run no more
summary        always the last but for an error: ``sweep``, ``status`` (the exit status), ``students`` (see
               ``summary_facts``), ``spent``, ``epochs_saved``, ``epochs_trained``, ``trials_left``, ``limit_reached``
error          ``status``, and ``faults`` of refused input (``file``, ``key``, ``value``, ``remedy``) or ``text``
=============  ======================================================================================================
"""

import json
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from search.log import from_distune
from search.screen.diverted import own_stdout
from search.screen.steps import Tell
from spaces.errors import Fault

if TYPE_CHECKING:
    # A refusal is told without waiting for Optuna to be imported.
    from search.screen.board import SweepBoard

PROGRESS_SECONDS = 1.0
"""Between two reports of a step's progress."""


class EventStream:
    """Writes events; calls may come from any thread."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._lock = file, threading.Lock()

    def write(self, event: str, facts: dict[str, Any]) -> None:
        line = json.dumps({"event": event, "time": round(time.time(), 3), **facts}, default=str)
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()

    @contextmanager
    def step(self, title: str) -> Iterator[Tell]:
        """A step of the work before the trials, see `search.screen.steps`."""
        told = time.monotonic()

        def tell(done: int, of: int) -> None:
            nonlocal told
            if time.monotonic() - told >= PROGRESS_SECONDS:
                told = time.monotonic()
                self.write("step", {"step": title, "state": "progress", "done": done, "of": of})

        self.write("step", {"step": title, "state": "started"})
        yield tell
        self.write("step", {"step": title, "state": "done"})

    @contextmanager
    def shown(self, board: "SweepBoard") -> Iterator[None]:
        """What happens on a board, see `search.screen.live.shown`."""
        named = {"sweep": board.name, "stage": board.stage}
        self.write("sweep_started", named | {"metric": board.metric, "mode": board.mode, "students": _students(board)})
        board.listeners.append(self.write)
        try:
            yield
        finally:
            board.listeners.remove(self.write)
            self.write("sweep_ended", named)

    def refused(self, status: int, faults: Sequence[Fault]) -> None:
        told = [{"file": each.file, "key": each.key, "value": each.value, "remedy": each.remedy} for each in faults]
        self.write("error", {"status": status, "faults": told})

    def failed(self, status: int, text: str) -> None:
        self.write("error", {"status": status, "text": text})


@contextmanager
def streamed() -> Iterator[EventStream]:
    """A stream on standard output, which is its alone in the block; what distune logs goes there as messages."""
    with own_stdout() as file:
        stream = EventStream(file)
        root, handler = logging.getLogger(), MessageHandler(stream)
        handler.addFilter(from_distune)
        before, root.handlers = root.handlers, [handler]
        try:
            yield stream
        finally:
            root.handlers = before


class MessageHandler(logging.Handler):
    """Turns log messages into events."""

    def __init__(self, stream: EventStream) -> None:
        super().__init__()
        self.stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        self.stream.write("message", {"level": record.levelname.lower(), "text": record.getMessage()})


def _students(board: "SweepBoard") -> dict[str, Any]:
    return {
        student: {
            "target": row.target,
            "epochs": row.epochs,
            "rungs": list(row.outlook.rungs),
            "reduction_factor": row.outlook.reduction_factor,
            "ended": [
                {"state": str(state), "epoch": epoch, "objective": objective, "f1": f1}
                for state, epoch, objective, f1 in row.ended_before
            ],
        }
        for student, row in board.students.items()
    }
