import io
from collections.abc import Iterator

import pytest
from ray.tune.result import SHOULD_CHECKPOINT
from rich.console import Console

from search.run.profile import Profile
from search.screen.steps import silent_steps

FIRST = {"setup_seconds": 1.0, "train_seconds": 6.0, "val_seconds": 2.0, "data_seconds": 0.5}
SECOND = {"train_seconds": 5.0, "val_seconds": 2.0, "data_seconds": 0.25}


class Clock:
    """Stands still until told to go on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def profile(clock: Clock) -> Iterator[Profile]:
    """Ten seconds of search on two slots: one trial of two epochs, saved after the second."""
    profile = Profile(clock)
    with profile.searching(n_slots=2):
        profile.reported(("tiny_conv", 0), FIRST)
        profile.reported(("tiny_conv", 0), SECOND | {SHOULD_CHECKPOINT: True})
        clock.now += 1
        profile.saved(("tiny_conv", 0))
        with profile.at_work("records"):
            clock.now += 9
    return profile


def test_a_trial_s_seconds_are_added_up_by_what_they_were_spent_on(profile):
    assert profile.trials["tiny_conv"] == {"start": 1.0, "training": 11.0, "validation": 4.0, "checkpoints": 1.0}
    assert profile.gathering["tiny_conv"] == 0.75


def test_what_no_trial_worked_in_is_waiting(profile):
    # Two slots of ten seconds, less 1 + 11 + 4 + 1.
    assert profile.slot_seconds == 20
    assert profile.waiting == 3


def test_the_driver_s_seconds_are_apart_because_trials_train_meanwhile(profile):
    assert profile.driver == {"records": 9.0}


def test_stages_are_timed_by_the_steps_that_show_them(clock):
    profile = Profile(clock)
    with profile.timing(silent_steps)("teacher pass") as tell:
        tell(1, 2)
        clock.now += 4
    assert profile.before == {"teacher pass": 4.0}


def test_mlflow_is_told_a_student_s_seconds_beside_those_of_all(profile):
    told = profile.metrics("tiny_conv")
    assert told["seconds_training"] == 11.0 and told["seconds_waiting"] == 3.0 and told["seconds_records"] == 9.0
    assert profile.metrics("resnet18")["seconds_gathering"] == 0.0


def test_the_table_shows_shares_of_the_slots(profile):
    shown = io.StringIO()
    Console(file=shown, width=80).print(profile.table())
    lines = {line.split("│")[1].strip(): line for line in shown.getvalue().splitlines() if "│" in line}
    assert "55.0%" in lines["tiny_conv: training"]
    assert "15.0%" in lines["waiting, workers' start included"]


def test_names_are_such_as_mlflow_takes(clock):
    profile = Profile(clock)
    with profile.stage("fitting the teacher's head"):
        pass
    assert "seconds_fitting_the_teachers_head" in profile.metrics("tiny_conv")


def test_a_checkpoint_that_no_result_asked_for_counts_nothing(profile):
    profile.saved(("tiny_conv", 7))
    assert profile.trials["tiny_conv"]["checkpoints"] == 1.0
