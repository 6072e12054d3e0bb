"""Exact intervals, against published values and their own definitions."""

import pytest
from scipy.stats import binom, poisson

from trainables.intervals import Rate, Share, hours_to_show


def test_no_event_leaves_up_to_three_point_seven():
    # Garwood 1936: 0 (0 to 3.689), 10 (4.795 to 18.390).
    assert (Rate.of(0, 1).low, Rate.of(0, 1).high) == pytest.approx((0, 3.6889), abs=1e-4)
    assert (Rate.of(10, 1).low, Rate.of(10, 1).high) == pytest.approx((4.7954, 18.3904), abs=1e-4)


@pytest.mark.parametrize("count", [1, 4, 50])
def test_at_each_end_a_count_as_extreme_has_a_chance_of_one_in_forty(count):
    rate = Rate.of(count, 2.0)
    assert poisson.sf(count - 1, rate.low * 2) == pytest.approx(0.025)
    assert poisson.cdf(count, rate.high * 2) == pytest.approx(0.025)
    assert rate.per_hour == count / 2


@pytest.mark.parametrize(("count", "of"), [(3, 60), (59, 60)])
def test_the_interval_of_a_share_is_exact_too(count, of):
    share = Share.counted(count, of)
    assert binom.sf(count - 1, of, share.low) == pytest.approx(0.025)
    assert binom.cdf(count, of, share.high) == pytest.approx(0.025)


def test_none_and_all_keep_their_ends():
    assert Share.counted(0, 60).low == 0 and Share.counted(60, 60).high == 1
    assert Share.counted(0, 60).high == pytest.approx(1 - 0.025 ** (1 / 60))


def test_half_an_hour_a_false_accept_takes_seven_quiet_hours_to_show():
    assert hours_to_show(0.5) == pytest.approx(7.378, abs=1e-3)
    assert Rate.of(0, hours_to_show(0.5)).high == pytest.approx(0.5)


def test_no_time_and_no_words_hold_no_rate():
    with pytest.raises(ValueError, match="0 hours"):
        Rate.of(0, 0)
    with pytest.raises(ValueError, match="0 of 0"):
        Share.counted(0, 0)
