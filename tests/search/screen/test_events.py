import json
import logging
import subprocess
import sys
from io import StringIO

import pytest

from search.record.states import TrialState
from search.screen import events
from search.screen.board import SweepBoard
from search.screen.events import EventStream
from spaces.errors import Fault


@pytest.fixture
def file():
    return StringIO()


@pytest.fixture
def stream(file):
    return EventStream(file)


def read(file: StringIO) -> list[dict]:
    """The events, each without its time, which all have."""
    told = [json.loads(line) for line in file.getvalue().splitlines()]
    assert all(event.pop("time") > 0 for event in told)
    return told


def test_a_sweep_tells_its_plan_and_then_whatever_happens(stream, file):
    board = SweepBoard("first", "val_pauc", "max")
    board.add_student("tiny_conv", 3, 9, [1, 3], 3)
    board.recorded("tiny_conv", TrialState.PRUNED, 0.5, 0.5, 3)
    with stream.shown(board):
        board.trial_started("tiny_conv", 1)
        board.trial_reported("tiny_conv", 1, 1, 0.25, "GPU 0")
        board.trial_ended("tiny_conv", 1, TrialState.FINISHED, 0.25, 0.5)
    board.trial_started("tiny_conv", 2)  # after the block: nobody is told
    told = read(file)
    student = {
        "target": 3, "epochs": 9, "rungs": [1, 3], "reduction_factor": 3,
        "ended": [{"state": "pruned", "epoch": 3, "objective": 0.5, "f1": 0.5}],
    }  # fmt: skip
    assert told[0] == {
        "event": "sweep_started", "sweep": "first", "stage": "search", "metric": "val_pauc", "mode": "max",
        "students": {"tiny_conv": student},
    }  # fmt: skip
    assert [event["event"] for event in told[1:]] == ["trial_started", "epoch", "trial_ended", "sweep_ended"]
    assert told[2]["where"] == "GPU 0" and told[3]["state"] == "finished"


def test_a_step_tells_its_progress_now_and_then(stream, file, monkeypatch):
    now = 0.0
    monkeypatch.setattr(events.time, "monotonic", lambda: now)
    with stream.step("reading clips") as tell:
        for done in range(1, 31):
            now = done / 10
            tell(done, 30)
    told = read(file)
    assert {event["event"] for event in told} == {"step"} and {event["step"] for event in told} == {"reading clips"}
    assert [event["state"] for event in told] == ["started", "progress", "progress", "progress", "done"]
    assert [(event["done"], event["of"]) for event in told[1:-1]] == [(10, 30), (20, 30), (30, 30)]


def test_a_refusal_is_an_event_with_every_fault(stream, file):
    stream.refused(2, [Fault("sweep.yaml", "budget.trials", 0, "is too few"), Fault("clips", "", None, "is missing")])
    assert read(file) == [
        {
            "event": "error",
            "status": 2,
            "faults": [
                {"file": "sweep.yaml", "key": "budget.trials", "value": 0, "remedy": "is too few"},
                {"file": "clips", "key": "", "value": None, "remedy": "is missing"},
            ],
        }
    ]


def test_every_kind_of_event_is_documented_with_its_keys(stream, file):
    stream.failed(1, "it broke")
    told = read(file)[0]
    documented = events.__doc__
    assert documented is not None
    kinds = ("step", "message", "sweep_started", "trial_started", "epoch", "trial_ended", "sweep_ended", "summary")
    assert all(f"\n{kind} " in documented for kind in (*kinds, "error"))
    assert all(f"``{key}``" in documented for key in told)


PROGRAM = """
import logging, os, sys
from search.screen.events import streamed
logging.basicConfig(level=logging.INFO)
with streamed() as stream:
    print("a library's chatter")
    logging.getLogger("search.any").warning("%d clips are few", 6)
    logging.getLogger("some.library").warning("deprecated")
    stream.write("epoch", {"student": "tiny_conv"})
print("after")
"""


def test_standard_output_is_the_streams_alone():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    *told, after = done.stdout.splitlines()
    assert [json.loads(line)["event"] for line in told] == ["message", "epoch"] and after == "after"
    assert json.loads(told[0])["text"] == "6 clips are few"
    assert done.stderr == "a library's chatter\n"


def test_logging_is_as_before_afterwards():
    before = logging.getLogger().handlers[:]
    with events.streamed():
        assert logging.getLogger().handlers != before
    assert logging.getLogger().handlers == before
