"""A sweep on a cluster, shown as if it ran here: its events, see `search.screen.events`, on the same screen."""

import json
import logging
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

from search.cluster.frames import KIND, Frame
from search.record.states import TrialState
from search.screen.board import SweepBoard
from search.screen.live import Show, shown
from search.screen.steps import Steps, Tell, shown_steps
from spaces.errors import Fault

log = logging.getLogger(__name__)


class End(NamedTuple):
    """How a job ended.

    Args:
        status: its command's; ``None`` where it ended without one, as when it was killed.
        has_results: whether it came as far as summing them up.
    """

    status: int | None
    has_results: bool


def watch(frames: Iterable[Frame], as_json: bool = False) -> End:
    """Show what a job says until it ends.

    Args:
        as_json: pass its events on as they are.
    """
    with Screen() as screen:
        for frame in frames:
            if frame[KIND] == "exit":
                return End(int(frame["status"]), screen.has_results)
            if frame[KIND] == "err":
                sys.stderr.write(frame["text"])
            elif frame[KIND] == "out":
                for line in frame["text"].splitlines():
                    if as_json:
                        print(line, flush=True)
                    else:
                        screen.take(json.loads(line))
    return End(None, screen.has_results)


class Screen:
    """Shows events. What happened before it was looked at is gone through at once, at the time that it happened."""

    def __init__(self, steps: Steps = shown_steps, show: Show = shown) -> None:
        self._show_step, self._show_board = steps, show
        self._steps: dict[str, _Step] = {}
        self._table = ExitStack()
        self.board: SweepBoard | None = None
        self.clock = Clock()
        self.has_results = False

    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, *_: object) -> None:
        for step in self._steps.values():
            step.stack.close()
        self._table.close()

    def take(self, event: dict[str, Any]) -> None:
        """Show one event."""
        self.clock.heard(event["time"])
        match event["event"]:
            case "step":
                self._step(event)
            case "message":
                log.log(logging.getLevelNamesMapping()[event["level"].upper()], "%s", event["text"])
            case "sweep_started":
                self.board = _board(event, self.clock)
                self._table.enter_context(self._show_board(self.board))
            case "sweep_ended":
                self._table.close()
            case "summary":
                self.has_results = True
            case "error":
                for told in last_words(event):
                    print(told, file=sys.stderr)
            case "trial_started" | "epoch" | "trial_ended" if self.board:
                _tell(self.board, event)

    def _step(self, event: dict[str, Any]) -> None:
        title = event["step"]
        if event["state"] == "started":
            stack = ExitStack()
            self._steps[title] = _Step(stack, stack.enter_context(self._show_step(title)))
        elif event["state"] == "progress":
            step = self._steps[title]
            step.of = event["of"]
            step.tell(event["done"], step.of)
        else:
            step = self._steps.pop(title)
            if step.of:
                # Progress is told now and then, its end by this alone.
                step.tell(step.of, step.of)
            step.stack.close()


@dataclass
class _Step:
    """One that is shown; ``of`` is how much it has to do, where it counts."""

    stack: ExitStack
    tell: Tell
    of: int = 0


class Clock:
    """The head's time, seconds since 1970, by what was last heard of it."""

    def __init__(self) -> None:
        self._theirs, self._ours = 0.0, time.monotonic()

    def heard(self, theirs: float) -> None:
        self._theirs, self._ours = max(theirs, self._theirs), time.monotonic()

    def __call__(self) -> float:
        return self._theirs + time.monotonic() - self._ours


def last_words(event: dict[str, Any]) -> Iterator[str]:
    """An ``error`` event as the command says it in a terminal."""
    for fault in event.get("faults", []):
        yield f"refused: {Fault(**fault)}"
    if "text" in event:
        yield event["text"]


def _board(event: dict[str, Any], clock: Clock) -> SweepBoard:
    board = SweepBoard(event["sweep"], event["metric"], event["mode"], clock, stage=event["stage"])
    for student, row in event["students"].items():
        board.add_student(student, row["target"], row["epochs"], row["rungs"], row["reduction_factor"])
        for ended in row["ended"]:
            board.recorded(student, TrialState(ended["state"]), ended["objective"], ended["f1"], ended["epoch"])
    return board


def _tell(board: SweepBoard, event: dict[str, Any]) -> None:
    student, trial = event["student"], event["trial"]
    if event["event"] == "trial_started":
        board.trial_started(student, trial, event["epoch"])
    elif event["event"] == "epoch":
        board.trial_reported(student, trial, event["epoch"], event["objective"], event["where"])
    else:
        state = TrialState(event["state"])
        board.trial_ended(student, trial, state, event["objective"], event["f1"], event["reason"])
