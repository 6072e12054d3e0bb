"""Fronts of points that are to be small in both, and the ladder that compares trials by them."""

from itertools import permutations, product

import pytest

from search.pareto import front, fronts
from search.pareto_ladder import ParetoLadder

POINTS = {"a": (1, 5), "b": (2, 3), "c": (3, 4), "d": (4, 1), "e": (4, 2), "f": (3, 5)}


def test_a_front_holds_what_no_other_beats_ascending_in_the_first_quantity():
    assert front(POINTS) == ["a", "b", "d"]
    assert front({"small": (1, 1), "large": (2, 2)}) == ["small"]
    assert front({}) == []


def test_points_that_are_alike_stand_on_a_front_together():
    assert front({"a": (1, 1), "b": (1, 1), "c": (1, 2), "d": (2, 1)}) == ["a", "b"]


def test_the_order_of_points_does_not_matter():
    for keys in permutations("abcde"):
        assert front({key: POINTS[key] for key in keys}) == ["a", "b", "d"]


def test_a_front_is_what_comparing_each_with_each_gives():
    points = {(x, y): (x, y) for x, y in product(range(5), range(5)) if (3 * x + y) % 4 and x + y > 2}

    def beats(one, other):
        return one != other and one[0] <= other[0] and one[1] <= other[1]

    expected = {key for key in points if not any(beats(other, key) for other in points)}
    assert set(front(points)) == expected and len(expected) > 1


def test_fronts_take_one_layer_after_the_other():
    assert list(fronts(POINTS)) == [["a", "b", "d"], ["c", "e"], ["f"]]


# The ladder

SIZES = {0: 60.0, 1: 10.0, 2: 80.0, 3: 5.0, 4: 70.0, 5: 40.0}


@pytest.fixture
def ladder():
    return ParetoLadder([1, 3], reduction_factor=3, maximise=True, size_of=SIZES.__getitem__)


def test_a_small_trial_is_not_stopped_for_being_worse_than_a_large_one(ladder):
    assert ladder.report(0, 1, 0.9)
    assert ladder.report(1, 1, 0.5)


def test_a_trial_that_is_larger_and_no_better_is_stopped(ladder):
    assert ladder.report(0, 1, 0.8)
    assert not ladder.report(4, 1, 0.8)
    assert ladder.report(2, 1, 0.9)  # larger still, and better


def test_once_many_were_there_trials_behind_a_short_front_go_on():
    ladder = ParetoLadder([1], reduction_factor=3, maximise=True, size_of=lambda trial: 10.0 + trial)
    # Trial 0 beats all others. Of six a third are two, so one that only trial 0 beats goes on.
    values = [0.9, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert [ladder.report(trial, 1, value) for trial, value in enumerate(values)] == [True, *[False] * 4, True]


def test_of_one_size_trials_are_ranked_by_their_objective_alone():
    """As on a plain ladder: of one, two or three trials one goes on, of six two."""
    ladder = ParetoLadder([1], reduction_factor=3, maximise=True, size_of=lambda trial: 60.0)
    values = [0.50, 0.40, 0.60, 0.55, 0.58, 0.59]
    assert [ladder.report(trial, 1, value) for trial, value in enumerate(values)] == [
        True, False, True, False, False, True,
    ]  # fmt: skip


def test_where_less_is_better_the_small_and_low_go_on():
    ladder = ParetoLadder([1], reduction_factor=3, maximise=False, size_of=SIZES.__getitem__)
    assert [ladder.report(trial, 1, value) for trial, value in [(0, 0.2), (4, 0.1), (2, 0.3)]] == [True, True, False]


def test_a_restored_ladder_decides_as_the_uninterrupted_one(ladder):
    reports = [(0, 1, 0.5), (1, 1, 0.4), (2, 1, 0.45), (0, 3, 0.7)]
    coming = [(3, 1, 0.3), (4, 1, 0.42), (5, 1, 0.55), (1, 3, 0.6)]
    for report in reports:
        ladder.report(*report)
    expected = [ladder.report(*report) for report in coming]
    assert expected == [True, False, True, True]
    for order in permutations(reports):
        restored = ParetoLadder([1, 3], reduction_factor=3, maximise=True, size_of=SIZES.__getitem__)
        restored.restore(order)
        assert [restored.report(*report) for report in coming] == expected
