import pytest

from search.insight.comparison import compare, ranked
from search.record.states import TrialState
from tests.search.insight.drawn import reported


def test_trials_stopped_early_and_finished_ones_are_compared_at_the_last_epoch_that_both_reached():
    trials = [reported(0, [0.1, 0.5, 0.9]), reported(1, [0.3, 0.2], TrialState.PRUNED)]
    compared = compare(trials, maximise=True)
    assert compared.epoch == 2
    assert compared.values == (0.5, 0.3)  # the best up to there, as the record has it


def test_where_all_finished_they_are_compared_at_their_end():
    compared = compare([reported(0, [0.1, 0.5]), reported(1, [0.1, 0.2, 0.3])], maximise=True)
    assert (compared.epoch, compared.values) == (3, (0.5, 0.3))


def test_a_trial_whose_patience_ended_early_keeps_its_value():
    trials = [reported(0, [0.6, 0.5]), reported(1, [0.1, 0.2, 0.3, 0.4], TrialState.PRUNED)]
    assert compare(trials, maximise=True).values == (0.6, 0.4)


def test_failed_trials_are_left_out_and_running_ones_until_they_have_come_as_far():
    trials = [
        reported(0, [0.1, 0.2], TrialState.PRUNED),
        reported(1, [0.9], TrialState.FAILED),
        reported(2, [0.8], TrialState.RUNNING),
        reported(3, [0.3, 0.4, 0.5], TrialState.RUNNING),
    ]
    compared = compare(trials, maximise=True)
    assert [trial.number for trial in compared.trials] == [0, 3]
    assert compared.values == (0.2, 0.4)


@pytest.mark.parametrize("trials", [[], [reported(0, [0.5], TrialState.RUNNING)]], ids=["no trial", "none ended"])
def test_before_a_trial_ended_there_is_nothing_to_compare(trials):
    compared = compare(trials, maximise=True)
    assert (compared.epoch, compared.trials, compared.too_few) == (0, (), True)


def test_where_less_is_better_the_best_value_is_the_least():
    assert compare([reported(0, [0.3, 0.1, 0.2])], maximise=False).values == (0.1,)


def test_finished_trials_rank_before_stopped_ones_and_those_by_how_far_they_came():
    trials = [
        reported(0, [0.9], TrialState.PRUNED),
        reported(1, [0.2, 0.3, 0.4]),
        reported(2, [0.1, 0.2], TrialState.PRUNED),
        reported(3, [0.2, 0.3, 0.5]),
        reported(4, [0.95], TrialState.FAILED),
        reported(5, [0.8], TrialState.PRUNED),
    ]
    assert [trial.number for trial in ranked(trials, maximise=True)] == [3, 1, 2, 0, 5]
    assert [trial.number for trial in ranked(trials, maximise=False)] == [1, 3, 2, 5, 0]
