from math import sqrt

import pytest

from search.confirm.statistics import Gain, Spread, paired_gain


def test_a_spread_is_the_mean_and_the_samples_standard_deviation():
    """Deviations -0.1, 0, 0.1: squares add up to 0.02, over n - 1 = 2."""
    spread = Spread.of([0.5, 0.6, 0.7])
    assert (spread.mean, spread.sd, spread.n) == (pytest.approx(0.6), pytest.approx(0.1), 3)
    assert str(spread) == "0.600 ± 0.100"


def test_one_value_has_no_standard_deviation():
    assert Spread.of([0.5]) == Spread(0.5, None, 1)
    assert str(Spread.of([0.5])) == "0.500"


def test_a_gain_is_the_mean_difference_with_students_interval():
    """Of three pairs: sd 0.1, and t at 97.5 % with 2 degrees of freedom is 4.303 in every table."""
    gain = paired_gain([0.0, 0.1, 0.2])
    half = 4.303 * 0.1 / sqrt(3)
    assert gain.mean == pytest.approx(0.1)
    assert (gain.low, gain.high) == (pytest.approx(0.1 - half, abs=1e-4), pytest.approx(0.1 + half, abs=1e-4))
    assert gain.n == 3 and not gain.told_from_chance


def test_students_own_example_of_ten_patients():
    """Hours of sleep gained with one drug over another, Student 1908: mean 1.58, sd 1.23 by n - 1, t(9) = 2.262."""
    gain = paired_gain([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    assert gain.mean == pytest.approx(1.58)
    assert gain.low == pytest.approx(1.58 - 2.262 * 1.23 / sqrt(10), abs=1e-3)
    assert gain.told_from_chance


def test_one_pair_has_no_interval():
    gain = paired_gain([0.3])
    assert gain == Gain(0.3, None, None, 1) and not gain.told_from_chance


@pytest.mark.parametrize(("differences", "told"), [([0.1, 0.1], True), ([-0.1, -0.1], True), ([0.0, 0.0], False)])
def test_a_gain_is_told_from_chance_where_its_interval_leaves_out_zero(differences, told):
    assert paired_gain(differences).told_from_chance is told
