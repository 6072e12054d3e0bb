"""Fronts of points that are to be small in both, and the ladder that compares trials by them."""

from itertools import permutations, product

from search.record.pareto import front, fronts
from search.run.ladder import Ladder
from search.run.pareto_ladder import ParetoLadder

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

# Trials' sizes, and what they had reached at a rung: 1 is small and bad, 4 large and no better than 0.
SIZES = {0: 60.0, 1: 10.0, 2: 80.0, 3: 5.0, 4: 70.0, 5: 40.0}
REACHED = {0: 0.8, 1: 0.5, 2: 0.9, 3: 0.6, 4: 0.8, 5: 0.3}


def ladder_of(size_of=SIZES.__getitem__, maximise: bool = True) -> ParetoLadder:
    return ParetoLadder([1, 3], reduction_factor=2, maximise=maximise, size_of=size_of)


def test_at_a_rung_a_trial_stands_behind_the_fronts_before_its_own():
    # 3, 0 and 2 are worth their size; 1 is worse than the smaller 3, and 4 larger than 0; 5 is worse than 1.
    found = {trial: ladder_of().n_better(trial, REACHED) for trial in REACHED}
    assert found == {3: 0, 0: 0, 2: 0, 1: 3, 4: 3, 5: 5}


def test_where_less_is_better_the_low_stand_before_the_high():
    reached = {trial: 1 - value for trial, value in REACHED.items()}
    ladder = ladder_of(maximise=False)
    assert [ladder.n_better(trial, reached) for trial in range(6)] == [0, 3, 0, 0, 3, 5]


def test_no_trial_is_stopped_for_being_worse_than_a_larger_one():
    """Each comes later, is smaller and worse; a plain ladder stops most of them."""
    plain, ladder = Ladder([1], 2, maximise=True), ladder_of(size_of=lambda trial: 100.0 - trial)
    values = [0.9 - 0.05 * trial for trial in range(12)]
    assert all(ladder.report(trial, 1, value) for trial, value in enumerate(values))
    assert sum(plain.report(trial, 1, value) for trial, value in enumerate(values)) < 10


def test_of_one_size_trials_are_judged_as_on_a_plain_ladder():
    values = [0.50, 0.40, 0.60, 0.55, 0.58, 0.59, 0.10, 0.60, 0.57]
    plain, ladder = Ladder([1], 2, maximise=True), ladder_of(size_of=lambda trial: 60.0)
    decisions = [ladder.report(trial, 1, value) for trial, value in enumerate(values)]
    assert decisions == [plain.report(trial, 1, value) for trial, value in enumerate(values)]
    assert set(decisions) == {True, False}


def test_a_restored_ladder_decides_as_the_uninterrupted_one():
    reports = [(0, 1, 0.5), (1, 1, 0.4), (2, 1, 0.45), (0, 3, 0.7)]
    coming = [(4, 1, 0.42), (3, 1, 0.3), (5, 1, 0.2), (1, 3, 0.6), (2, 3, 0.1), (4, 3, 0.2)]
    uninterrupted = ladder_of()
    for report in reports:
        uninterrupted.report(*report)
    expected = [uninterrupted.report(*report) for report in coming]
    assert set(expected) == {True, False}
    for order in permutations(reports):
        restored = ladder_of()
        restored.restore(order)
        assert [restored.report(*report) for report in coming] == expected
