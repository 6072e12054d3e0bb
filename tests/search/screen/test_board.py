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
    for epoch, second in ((1, 2), (2, 4)):
        clock.now = second
        board.trial_reported("tiny_conv", 0, epoch)
    # Two seconds an epoch: 16 s and 20 s - 2 s (of its first epoch, as much as one takes) left, then two of 20 s.
    assert board.seconds_left() == max(16 + 20, 18 + 20)


def test_time_left_counts_down_between_reports(board, clock):
    board.trial_started("tiny_conv", 0)
    for epoch in (1, 2):
        clock.now += 2
        board.trial_reported("tiny_conv", 0, epoch)
    before = board.seconds_left()
    clock.now += 1
    assert board.seconds_left() == before - 1
    clock.now += 60  # an epoch that hangs promises nothing
    assert board.seconds_left() == before - 2


def test_a_ladder_shortens_what_the_others_are_expected_to_take(clock):
    seconds = []
    for rungs in ((), (2,)):
        board = SweepBoard("first", "val_pauc", "max", clock)
        board.add_student("tiny_conv", 40, 10, rungs, reduction_factor=3)
        for number in range(20):
            run_trial(board, clock, number, 2, TrialState.PRUNED)
        seconds.append(board.seconds_left())
    assert seconds[0] == 20 * 10 and 20 * 2 < seconds[1] < 20 * 5


def test_what_early_stopping_saved_counts_the_epochs_that_were_not_trained(board, clock):
    run_trial(board, clock, 0, 10)
    run_trial(board, clock, 1, 3, TrialState.PRUNED)
    run_trial(board, clock, 2, 1, TrialState.FAILED)
    board.recorded("tiny_conv", TrialState.PRUNED, epoch=4)
    assert (board.epochs_saved, board.epochs_trained) == (7 + 6, 10 + 3 + 1 + 4)


def test_the_rate_is_of_trials_that_ended_in_this_process(board, clock):
    assert board.trials_an_hour() is None
    board.recorded("tiny_conv", TrialState.FINISHED, 0.5, 0.5, 10)
    run_trial(board, clock, 0, 10)
    run_trial(board, clock, 1, 10)
    assert board.trials_an_hour() == board.students["tiny_conv"].trials_an_hour(clock.now) == 360


def test_the_trend_is_the_best_so_far_after_each_finished_trial(board, clock):
    for number, value in enumerate((0.2, 0.5, 0.3, 0.9)):
        run_trial(board, clock, number, 1, TrialState.FINISHED, value, value)
    assert board.students["tiny_conv"].bests == [0.2, 0.5, 0.5, 0.9]


def test_a_trial_keeps_the_place_that_its_first_report_named(board):
    board.trial_started("tiny_conv", 0)
    assert board.students["tiny_conv"].running[0].where is None
    board.trial_reported("tiny_conv", 0, 1, 0.5, "node-3 GPU 1")
    board.trial_reported("tiny_conv", 0, 2, 0.6)
    trial = board.students["tiny_conv"].running[0]
    assert (trial.where, trial.objective, trial.epoch) == ("node-3 GPU 1", 0.6, 2)


def test_what_passes_between_two_trials_of_a_slot_is_expected_of_the_next_ones(board, clock):
    run_trial(board, clock, 0, 10)
    clock.now += 3
    run_trial(board, clock, 1, 10)
    assert board.seconds_left() == 2 * (3 + 10)


def test_a_budget_that_ends_sooner_bounds_the_time_left(clock):
    board = SweepBoard("first", "val_pauc", "max", clock, seconds_to_limit=lambda: 7.0)
    board.add_student("tiny_conv", 4, 10)
    assert board.seconds_left() == 7  # also before anything is known of the trials
    board.trial_started("tiny_conv", 0)
    for epoch in (1, 2):
        clock.now += 1
        board.trial_reported("tiny_conv", 0, epoch)
    assert board.seconds_left() == 7


def test_listeners_are_told_of_starts_epochs_and_ends(board, clock):
    told = []
    board.listeners.append(lambda kind, facts: told.append((kind, facts)))
    board.trial_started("tiny_conv", 0)
    clock.now = 2
    board.trial_reported("tiny_conv", 0, 1, 0.4, "GPU 0")
    board.trial_ended("tiny_conv", 0, TrialState.FAILED, reason="no such clip")
    assert told == [
        ("trial_started", {"student": "tiny_conv", "trial": 0, "epoch": 0}),
        ("epoch", {"student": "tiny_conv", "trial": 0, "epoch": 1, "objective": 0.4, "where": "GPU 0"}),
        (
            "trial_ended",
            {
                "student": "tiny_conv", "trial": 0, "state": "failed", "epoch": 1, "objective": None, "f1": None,
                "reason": "no such clip", "done": 1, "target": 4, "best": None, "running": 0, "seconds_left": 60.0,
            },
        ),
    ]  # fmt: skip


def test_time_left_is_unknown_before_the_first_epoch(board, clock):
    board.trial_started("tiny_conv", 0)
    clock.now = 60
    assert board.seconds_left_of() == {"tiny_conv": None}
    assert board.seconds_left() is None


def test_nothing_is_left_once_the_target_is_reached(board, clock):
    for number in range(4):
        run_trial(board, clock, number, 10)
    clock.now += 100
    assert board.seconds_left_of()["tiny_conv"] == board.seconds_left() == 0
    assert board.students["tiny_conv"].seconds_used(clock.now) == 40  # a student's clock stops with its last trial


def test_the_sweeps_time_left_is_that_of_the_student_that_ends_last(board, clock):
    board.add_student("resnet18", target=1, epochs=10)
    board.trial_started("tiny_conv", 0)
    board.trial_started("resnet18", 0)
    for second in range(1, 7):
        clock.now = second
        board.trial_reported("tiny_conv", 0, second)
        if second % 3 == 0:
            board.trial_reported("resnet18", 0, second // 3)
    # Of tiny_conv 4 s, and three trials of 10 s on the slot that comes free; of resnet18 8 x 3 s.
    assert board.seconds_left_of() == {"tiny_conv": 34, "resnet18": 24}
    assert board.seconds_left() == 34


def test_a_trial_that_goes_on_from_a_checkpoint_has_only_the_rest_to_do(board, clock):
    board.add_student("tiny_conv", target=1, epochs=10)
    board.trial_started("tiny_conv", 0, epoch=6)
    clock.now = 1
    board.trial_reported("tiny_conv", 0, 7)
    assert board.seconds_left() == 3


def test_epochs_done_again_from_a_checkpoint_bring_a_trial_no_nearer(board, clock):
    board.add_student("tiny_conv", target=1, epochs=10)
    board.trial_started("tiny_conv", 0)
    for epoch in (1, 2, 3, 2, 3, 4):
        clock.now += 1
        board.trial_reported("tiny_conv", 0, epoch)
    # Three new epochs after the first report, in five seconds.
    assert board.seconds_left() == 6 * 5 / 3


def test_trials_of_an_earlier_process_count_but_do_not_set_the_pace(board, clock):
    board.recorded("tiny_conv", TrialState.FINISHED, 0.8, 0.6, 10)
    board.recorded("tiny_conv", TrialState.PRUNED, 0.9, 0.9, 2)
    row = board.students["tiny_conv"]
    assert (row.done, row.best, row.best_f1, row.waiting) == (2, 0.8, 0.6, 2)
    assert row.trials_an_hour(clock.now) is None and board.seconds_left() is None


def test_the_time_left_stands_for_fifty_times_as_long_as_reckoning_it_took(board, clock, monkeypatch):
    run_trial(board, clock, 0, 10)
    reckon = board.students["tiny_conv"].ahead

    def slowly(now: float):
        clock.now += 0.5
        return reckon(now)

    monkeypatch.setattr(board.students["tiny_conv"], "ahead", slowly)
    assert board.seconds_left() == 30
    run_trial(board, clock, 1, 10)
    assert board.seconds_left() == 30, "for 25 s, of which 10 have passed"
    clock.now += 15
    assert board.seconds_left() == 2 * (10 + 0.5), "and the half second between two trials"
