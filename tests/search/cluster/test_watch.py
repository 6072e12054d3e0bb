"""A sweep's events, shown here as the sweep itself would have shown it."""

import io
import json
from contextlib import contextmanager

from rich.console import Console

from search.cluster.watch import Clock, Screen, watch
from search.record.states import TrialState
from search.screen import events
from search.screen.board import SweepBoard
from search.screen.events import EventStream
from search.screen.live import render


class Seconds:
    """A clock that is a second later whenever a trial says something."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_one(self, *_: object) -> None:
        self.now += 1


def told_of(board: SweepBoard, stream: EventStream, seconds: Seconds) -> None:
    """A sweep that goes on with three trials of which one had ended."""
    board.add_student("tiny_conv", 3, 9, [1, 3], 3)
    board.add_student("resnet18", 3, 9, [1, 3], 3)
    board.recorded("tiny_conv", TrialState.FINISHED, 0.75, 0.5, 9)
    with stream.shown(board):
        board.listeners.append(seconds.pass_one)
        board.trial_started("tiny_conv", 1)
        board.trial_started("resnet18", 0, 3)
        for epoch in (1, 2, 3):
            board.trial_reported("tiny_conv", 1, epoch, 0.25 * epoch, "GPU 0 of a")
        board.trial_ended("tiny_conv", 1, TrialState.PRUNED, 0.75, 0.5)
        board.trial_started("tiny_conv", 2)


def picture(board: SweepBoard) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(render(board, 120))
    return console.export_text()


def test_the_table_is_the_one_of_the_head(monkeypatch):
    file, seconds = io.StringIO(), Seconds()
    monkeypatch.setattr(events.time, "time", seconds)
    monkeypatch.setattr(events.time, "monotonic", lambda: 5.0)  # on either machine, no matter how long this takes
    there = SweepBoard("first", "val_pauc", "max", clock=seconds)
    told_of(there, EventStream(file), seconds)
    seen = []

    @contextmanager
    def show(board):
        yield
        # It is closed when the trials run no more.
        seen.append(picture(board))

    with Screen(show=show) as screen:
        for line in file.getvalue().splitlines():
            screen.take(json.loads(line))
    assert seen == [picture(there)] and "tiny_conv 2: epoch 0 of 9, starting" in seen[0]


def test_the_time_is_that_of_the_head_and_goes_on_between_events():
    clock = Clock()
    clock.heard(1000.0)
    first = clock()
    assert 1000.0 <= first <= clock() < 1100
    clock.heard(2000.0)
    clock.heard(1500.0)  # another thread's, late
    assert 2000.0 <= clock() < 2100


def frames(*events: dict) -> list[dict]:
    lines = [json.dumps({"time": 1.0, **event}) for event in events]
    return [{"distune": "out", "text": "\n".join(lines) + "\n"}, {"distune": "exit", "status": 2}]


def test_steps_and_refusals_are_told_as_in_a_terminal(capsys):
    fault = {"file": "sweep.yaml", "key": "data.path", "value": "/x", "remedy": "no such folder"}
    steps = [{"event": "step", "step": "reading clips", "state": state} for state in ("started", "done")]
    steps.insert(1, {"event": "step", "step": "reading clips", "state": "progress", "done": 1, "of": 2})
    end = watch(frames(*steps, {"event": "error", "status": 2, "faults": [fault]}))
    told = capsys.readouterr()
    assert end == (2, False) and told.out == ""
    assert told.err == "reading clips\nrefused: sweep.yaml: data.path = '/x': no such folder\n"


def test_results_that_were_summed_up_are_there_to_be_shown():
    assert watch(frames({"event": "summary", "sweep": "first", "status": 2})) == (2, True)


def test_as_json_the_events_are_passed_on_and_an_end_without_a_status_is_none(capsys):
    out, _ = frames({"event": "step", "step": "x", "state": "started"})
    assert watch([out, {"distune": "raw", "text": "Killed"}], as_json=True) == (None, False)
    assert capsys.readouterr().out == out["text"]
