import pytest

from search.record.states import TrialState
from search.screen.board import SweepBoard


class Clock:
    """Seconds that pass when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def board(clock):
    board = SweepBoard("first", "val_pauc", "max", clock)
    board.add_student("tiny_conv", target=4, epochs=10)
    return board


def run_trial(board, clock, number, epochs, state=TrialState.FINISHED, objective=None, f1=None):
    """One trial of one second an epoch."""
    board.trial_started("tiny_conv", number)
    for epoch in range(1, epochs + 1):
        clock.now += 1
        board.trial_reported("tiny_conv", number, epoch)
    board.trial_ended("tiny_conv", number, state, objective, f1)


def test_ended_trials_are_counted_by_how_they_ended(board, clock):
    row = board.students["tiny_conv"]
    run_trial(board, clock, 0, 10)
    run_trial(board, clock, 1, 3, TrialState.PRUNED)
    run_trial(board, clock, 2, 1, TrialState.FAILED)
    assert row.ended == {TrialState.FINISHED: 1, TrialState.PRUNED: 1, TrialState.FAILED: 1}
    assert (row.done, board.n_running) == (3, 0)


def test_an_interrupted_trial_is_neither_running_nor_done(board, clock):
    run_trial(board, clock, 0, 2, TrialState.INTERRUPTED)
    assert (board.students["tiny_conv"].done, board.n_running) == (0, 0)


@pytest.mark.parametrize(("mode", "best", "its_f1"), [("max", 0.9, 0.7), ("min", 0.1, 0.8)])
def test_the_best_is_the_best_finished_trial_with_its_own_f1(clock, mode, best, its_f1):
    board = SweepBoard("first", "val_pauc", mode, clock)
    board.add_student("tiny_conv", 4, 10)
    run_trial(board, clock, 0, 1, TrialState.FINISHED, 0.9, 0.7)
    run_trial(board, clock, 1, 1, TrialState.FINISHED, 0.1, 0.8)
    run_trial(board, clock, 2, 1, TrialState.PRUNED, 0.99, 0.99)
    run_trial(board, clock, 3, 1, TrialState.PRUNED, 0.01, 0.99)
    row = board.students["tiny_conv"]
    assert (row.best, row.best_f1) == (best, its_f1)


def test_an_objective_of_zero_is_a_best_like_any_other(board, clock):
    run_trial(board, clock, 0, 1, TrialState.FINISHED, 0.0, 0.0)
    assert board.students["tiny_conv"].best == 0.0


def test_before_any_trial_ended_every_trial_is_expected_to_run_in_full(board, clock):
    board.trial_started("tiny_conv", 0)
    board.trial_started("tiny_conv", 1)
    clock.now = 4
    board.trial_reported("tiny_conv", 0, 2)
    row = board.students["tiny_conv"]
    assert row.epochs_left == 8 + 10 + 2 * 10  # the first's rest, the second's whole, two that wait
    assert row.seconds_left(clock.now) == 38 / (2 / 4)  # two epochs in four seconds


def test_pruned_trials_shorten_what_the_others_are_expected_to_take(board, clock):
    run_trial(board, clock, 0, 10)
    run_trial(board, clock, 1, 2, TrialState.PRUNED)
    board.trial_started("tiny_conv", 2)
    row = board.students["tiny_conv"]
    assert row.epochs_left == 6 + 6  # the mean of 10 and 2, for the one at work and the one that waits
    assert row.seconds_left(clock.now) == 12  # a second an epoch
    for epoch in range(1, 7):
        clock.now += 1
        board.trial_reported("tiny_conv", 2, epoch)
    assert row.epochs_left == 4 + 6  # it reached the mean, so it is expected to run to its end


def test_a_crash_says_nothing_of_how_long_the_others_take(board, clock):
    run_trial(board, clock, 0, 1, TrialState.FAILED)
    assert board.students["tiny_conv"].epochs_left == 3 * 10


def test_time_left_is_unknown_before_the_first_epoch(board, clock):
    board.trial_started("tiny_conv", 0)
    clock.now = 60
    assert board.students["tiny_conv"].seconds_left(clock.now) is None
    assert board.seconds_left() is None


def test_nothing_is_left_once_the_target_is_reached(board, clock):
    for number in range(4):
        run_trial(board, clock, number, 10)
    clock.now += 100
    row = board.students["tiny_conv"]
    assert row.seconds_left(clock.now) == board.seconds_left() == 0
    assert row.seconds_used(clock.now) == 40  # the clock of a student stops with its last trial


def test_the_sweeps_time_left_shares_the_slots_among_students(board, clock):
    board.add_student("resnet18", target=1, epochs=10)
    board.trial_started("tiny_conv", 0)
    board.trial_started("resnet18", 0)
    clock.now = 5
    for epoch in range(1, 6):
        board.trial_reported("tiny_conv", 0, epoch)  # a second an epoch of a trial: 35 left
    board.trial_reported("resnet18", 0, 1)  # five seconds an epoch: 9 left
    assert board.seconds_left() == (35 * 1 + 9 * 5) / 2


def test_a_trial_that_goes_on_from_a_checkpoint_has_only_the_rest_to_do(board, clock):
    board.add_student("tiny_conv", target=1, epochs=10)
    board.trial_started("tiny_conv", 0, epoch=6)
    assert board.students["tiny_conv"].epochs_left == 4


def test_epochs_done_again_from_a_checkpoint_are_not_counted_twice(board, clock):
    board.add_student("tiny_conv", target=1, epochs=10)
    board.trial_started("tiny_conv", 0)
    for epoch in (1, 2, 3, 2, 3, 4):
        clock.now += 1
        board.trial_reported("tiny_conv", 0, epoch)
    row = board.students["tiny_conv"]
    assert (row.epochs_seen, row.epochs_left) == (4, 6)
    assert row.seconds_left(clock.now) == 6 * 6 / 4


def test_trials_of_an_earlier_process_count_but_do_not_set_the_pace(board, clock):
    board.recorded("tiny_conv", TrialState.FINISHED, 0.8, 0.6)
    board.recorded("tiny_conv", TrialState.PRUNED, 0.9, 0.9)
    row = board.students["tiny_conv"]
    assert (row.done, row.best, row.best_f1, row.epochs_left) == (2, 0.8, 0.6, 2 * 10)
    assert row.seconds_left(clock.now) is None
