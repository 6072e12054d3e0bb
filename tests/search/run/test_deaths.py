"""When a trial whose workers die goes on, and when it is given up: the recorder, told of deaths as Tune tells them."""

from types import SimpleNamespace
from typing import Any

import pytest
from ray import cloudpickle
from ray.core.generated.common_pb2 import ActorDiedErrorContext
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayTaskError

from search.record.states import TrialState
from search.run.ladder import Ladder
from search.run.leaving import Leaving
from search.run.meter import Meter
from search.run.profile import Profile
from search.run.recorder import Recorder
from search.run.scheduler import StudentLadders
from search.screen.board import SweepBoard
from search.tracking.tracker import Tracker
from tests.search.searchers import searcher_of

STUDENT = "tiny_conv"


class PreemptedError(ActorDiedError):
    preempted = True


NODE_DIED = "The actor died because its node has died. Node Id: 1c8b"
LOST_MACHINES = (
    PreemptedError(),
    ActorUnavailableError("Socket closed", None),
    ActorDiedError(cause=ActorDiedErrorContext(actor_id=bytes(16), error_message=NODE_DIED)),
)


@pytest.fixture
def suffering(recorded, home, tmp_path):
    """A recorder whose first trial is at work; ``dies`` and ``reports`` are what Tune tells of it."""
    record = recorded.open({"early_stopping.scheduler": "none"})
    searcher = searcher_of(record)
    ladders = StudentLadders({student: Ladder([], 3, True) for student in record.studies}, "val_pauc", searcher)
    board = SweepBoard("first", "val_pauc", "max")
    for student in record.studies:
        board.add_student(student, 3, 9, [], 3)
    with Tracker.open(home.tracking_uri, "first", home.artifacts, tmp_path / "spool") as tracker:
        settings = searcher, ladders, tracker, board, Profile(), Meter(record)
        recorder = Recorder(*settings, leaving=Leaving(lambda: {"leaves"}))
        yield Suffering(recorder, tmp_path)


class Suffering:
    def __init__(self, recorder: Recorder, folder: Any) -> None:
        self.recorder, self.record = recorder, recorder.record
        self.error_file = folder / "error.pkl"
        self.starts()

    def starts(self) -> None:
        config = self.recorder.searcher.suggest("tune")
        self.trial = SimpleNamespace(config=config, pickled_error_file=str(self.error_file), error_file=None)
        self.recorder.on_trial_start(0, [], self.trial)

    def dies(self, error: Exception | None = None) -> None:
        self.error_file.write_bytes(cloudpickle.dumps(error or ActorDiedError()))
        self.recorder.on_trial_error(0, [], self.trial)

    def reports(self, epoch: int, **told: Any) -> dict[str, Any]:
        result = {"epoch": epoch, "val_pauc": 0.5, "val_f1": 0.5, "done": False, **told}
        self.recorder.on_trial_result(0, [], self.trial, result)
        return result

    @property
    def state(self) -> TrialState:
        return TrialState.of_optuna(self.record.trials(self.trial.config["student"])[0].state)


def test_a_trial_that_loses_its_worker_three_times_at_the_same_place_is_given_up_and_says_where(suffering):
    for _ in range(2):
        suffering.reports(1)  # again from its checkpoint, no further
        suffering.dies()
        assert suffering.state is TrialState.RUNNING
        suffering.starts()
    suffering.dies()
    assert suffering.state is TrialState.FAILED
    student = suffering.trial.config["student"]
    assert suffering.record.noted(student, 0, "reason").startswith("lost its worker 3 times after epoch 1: ")


def test_a_trial_that_gets_further_each_time_is_never_given_up(suffering):
    for epoch in range(1, 9):
        suffering.reports(epoch)
        suffering.dies()
        suffering.starts()
    assert suffering.state is TrialState.RUNNING


@pytest.mark.parametrize("error", LOST_MACHINES, ids=["announced", "out of reach", "dead"])
def test_a_machine_that_is_lost_is_not_held_against_the_trial(suffering, error):
    for _ in range(2):
        suffering.dies()
        suffering.starts()
    for _ in range(7):
        suffering.dies(error)
        suffering.starts()
    assert suffering.state is TrialState.RUNNING


def test_a_trial_that_loses_ten_machines_at_the_same_place_is_given_up(suffering):
    suffering.reports(1)
    for n_machines in range(10):
        assert suffering.state is TrialState.RUNNING
        suffering.dies(LOST_MACHINES[n_machines % 3])
        if n_machines < 9:
            suffering.starts()
    assert suffering.state is TrialState.FAILED
    student = suffering.trial.config["student"]
    assert suffering.record.noted(student, 0, "reason").startswith("lost its worker 10 times after epoch 1: ")


def test_storage_that_fails_a_worker_is_a_lost_worker_and_another_error_an_end(suffering):
    full = OSError(28, "No space left on device")
    suffering.dies(RayTaskError("train", "traceback", full))
    assert suffering.state is TrialState.RUNNING
    suffering.starts()
    suffering.dies(RayTaskError("train", "traceback", FileNotFoundError(2, "No such file or directory")))
    assert suffering.state is TrialState.FAILED


def test_a_trial_on_a_node_that_is_to_go_is_told_to_save_every_epoch(suffering):
    assert "should_checkpoint" not in suffering.reports(1, node="stays")
    assert suffering.reports(2, node="leaves")["should_checkpoint"]
    assert suffering.reports(3)["should_checkpoint"], "it is still there"
