from collections import Counter
from itertools import permutations

import pytest

from search.run.ladder import Ladder, brackets, rungs


@pytest.mark.parametrize(
    ("grace_epochs", "reduction_factor", "max_epochs", "expected"),
    [
        (1, 3, 243, [1, 3, 9, 27, 81]),  # Ray's own ASHA loses 81 to float rounding
        (1, 3, 244, [1, 3, 9, 27, 81, 243]),
        (5, 3, 30, [5, 15]),
        (2, 4, 8, [2]),
        (5, 3, 5, []),
        (9, 3, 5, []),
    ],
)
def test_rungs_are_powers_before_the_last_epoch(grace_epochs, reduction_factor, max_epochs, expected):
    assert rungs(grace_epochs, reduction_factor, max_epochs) == expected


def test_at_a_rung_the_best_third_of_those_so_far_goes_on_and_always_the_best_two():
    ladder = Ladder([1, 3], reduction_factor=3, maximise=True)
    values = [0.50, 0.40, 0.30, 0.60, 0.45, 0.55, 0.53, 0.52]
    # A third of six is two, of seven and eight, rounded up, three: 0.53 is third of seven, 0.52 fourth of eight.
    assert [ladder.report(trial, 1, value) for trial, value in enumerate(values)] == [
        True, True, False, True, False, True, True, False,
    ]  # fmt: skip


def test_where_less_is_better_the_smallest_go_on():
    ladder = Ladder([1], reduction_factor=2, maximise=False)
    assert [ladder.report(trial, 1, value) for trial, value in enumerate([0.3, 0.4, 0.5, 0.35])] == [
        True, True, False, True,
    ]  # fmt: skip


def test_a_tie_with_the_last_that_goes_on_goes_on():
    ladder = Ladder([1], reduction_factor=3, maximise=True)
    assert [ladder.report(trial, 1, 0.5) for trial in range(4)] == [True, True, True, True]


def test_rungs_do_not_compare_with_one_another():
    ladder = Ladder([1, 3], reduction_factor=3, maximise=True)
    assert [ladder.report(trial, 1, 0.9) for trial in range(3)] == [True, True, True]
    assert [ladder.report(trial, 3, value) for trial, value in enumerate([0.1, 0.2, 0.05])] == [True, True, False]


def test_between_rungs_nobody_is_judged():
    ladder = Ladder([1, 3], reduction_factor=3, maximise=True)
    ladder.report(0, 1, 0.9)
    assert ladder.report(1, 2, 0.0)
    assert ladder.reached == {1: {0: 0.9}}


def test_a_report_of_a_rung_that_was_passed_before_changes_nothing():
    ladder = Ladder([1], reduction_factor=3, maximise=True)
    ladder.report(0, 1, 0.5)
    ladder.report(1, 1, 0.6)
    assert ladder.report(0, 1, 0.0)
    assert ladder.reached == {1: {0: 0.5, 1: 0.6}}


def test_an_objective_that_is_not_a_number_raises():
    ladder = Ladder([3], reduction_factor=3, maximise=True)
    with pytest.raises(ValueError, match="trial 7 reported an objective that is not a number at epoch 2"):
        ladder.report(7, 2, float("nan"))


def test_a_restored_ladder_decides_as_the_uninterrupted_one_whatever_the_order_of_reports():
    reports = [(0, 1, 0.5), (1, 1, 0.4), (2, 1, 0.6), (2, 2, 0.9), (2, 3, 0.7)]
    coming = [(3, 1, 0.45), (4, 1, 0.62), (4, 3, 0.65), (5, 1, 0.61), (0, 1, 0.0), (5, 3, 0.6)]
    uninterrupted = Ladder([1, 3], reduction_factor=3, maximise=True)
    for report in reports:
        uninterrupted.report(*report)
    expected = [uninterrupted.report(*report) for report in coming]
    assert expected == [False, True, True, True, True, False]
    for order in permutations(reports):
        restored = Ladder([1, 3], reduction_factor=3, maximise=True)
        restored.restore(order)
        assert [restored.report(*report) for report in coming] == expected


def test_a_bracket_spares_its_trials_the_first_rungs_but_others_are_compared_with_them():
    ladder = Ladder([1, 3], reduction_factor=3, maximise=True, spared=(0, 1, 2))
    assert [ladder.report(trial, 1, value) for trial, value in enumerate([0.9, 0.8, 0.7])] == [True, True, True]
    assert not ladder.report(3, 1, 0.75)  # of the first bracket again, third of four
    assert [ladder.report(trial, 3, value) for trial, value in enumerate([0.9, 0.8, 0.7])] == [True, True, True]
    assert not ladder.report(4, 3, 0.6)  # of the second bracket, whose only rung this is
    assert ladder.report(5, 3, 0.5)


def test_brackets_are_dealt_in_the_proportions_of_hyperband():
    """Of up to 27 epochs in factors of 3: 27, 12, 6 and 4 trials (Li et al. 2018, table 1, whose 81 has one more)."""
    counted = Counter(brackets(n_rungs=3, reduction_factor=3, seed=0))
    assert counted == {0: 27, 1: 12, 2: 6, 3: 4}


def test_brackets_are_dealt_anew_with_another_seed_alone():
    assert brackets(2, 3, seed=1) == brackets(2, 3, seed=1) != brackets(2, 3, seed=2)


def test_without_rungs_everyone_goes_on():
    ladder = Ladder([], reduction_factor=3, maximise=True)
    assert [ladder.report(trial, 1, -trial) for trial in range(4)] == [True] * 4
