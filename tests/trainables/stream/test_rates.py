"""False accepts, misses, delays and thresholds, on tracks that one can count."""

import numpy as np
import pytest

from trainables.stream.detector import Streaming
from trainables.stream.rates import Session, Track

# One score decides, and the next may fire again.
PLAIN = Streaming(smoothing_window=1, cooldown_ms=0)


def track(highs: dict[int, float], seconds: float = 61.5, words=(), **facts) -> Track:
    """A minute of zeros but for some scores; step 0 is known at 1.5 s, step 10 at 2.5 s."""
    scores = np.zeros(round((seconds - 1.5) * 10) + 1)
    scores[list(highs)] = list(highs.values())
    return Track("track", scores, seconds, tuple(words), **facts)


def test_what_fires_where_no_word_is_is_false():
    session = Session([track({100: 0.9, 300: 0.8})], PLAIN)
    assert [firing.step for firing in session.tally(0.7).false] == [100, 300]
    rate = session.false_accepts(session.tally(0.7))
    assert rate.per_hour == pytest.approx(2 / (61.5 / 3600))
    assert session.misses(session.tally(0.7)) is None


def test_a_word_is_hit_from_its_start_until_it_has_left_the_window():
    words = ((10.0, 10.6),)
    # Known at 9.9 s, 10.0 s, 12.1 s and 12.2 s.
    hits = [Session([track({step: 0.9}, words=words)], PLAIN).tally(0.7).n_hit for step in (84, 85, 106, 107)]
    assert hits == [0, 1, 1, 0]


def test_the_delay_counts_from_the_words_end_to_the_first_firing():
    session = Session([track({92: 0.9, 95: 0.9}, words=((10.0, 10.6),))], PLAIN)
    tally = session.tally(0.7)
    assert tally.delays == pytest.approx((0.1,))
    assert (tally.false, session.misses(tally).count) == ((), 0)


def test_one_firing_does_not_hit_two_words():
    session = Session([track({90: 0.9}, words=((9.8, 10.2), (10.4, 10.9)))], PLAIN)
    assert session.tally(0.7).n_hit == 1


def test_the_time_around_words_is_no_time_for_false_accepts():
    # From 10 to 12.1 s and on to 13 s, which overlap.
    assert track({}, words=((10.0, 10.6), (11.0, 11.5))).negative_seconds == pytest.approx(61.5 - 3.0)
    assert track({}, words=((60.9, 61.4),)).negative_seconds == pytest.approx(60.9)


def test_what_was_put_together_of_words_has_no_false_accepts():
    session = Session([track({5: 0.9, 92: 0.9}, words=((10.0, 10.6),), counts_false=False)], PLAIN)
    tally = session.tally(0.7)
    assert (session.hours, session.false_accepts(tally), tally.false, tally.n_hit) == (0, None, (), 1)


@pytest.mark.parametrize(("allowed", "expected"), [(0, 0.9), (1, 0.8), (2, 0.7), (3, 0.0)])
def test_the_threshold_for_a_rate_lies_just_above_the_first_score_that_would_be_too_many(allowed, expected):
    session = Session([track({100: 0.9, 200: 0.8, 300: 0.7})], PLAIN)
    threshold = session.threshold_for(allowed / session.hours)
    assert threshold == pytest.approx(expected) and threshold > expected
    assert len(session.tally(threshold).false) == allowed


def test_the_threshold_hangs_on_the_hours_and_not_on_the_words():
    words = track({92: 0.99}, words=((10.0, 10.6),), counts_false=False)
    session = Session([track({100: 0.6}), words], PLAIN)
    assert session.threshold_for(0.5) == pytest.approx(0.6)
    assert session.misses(session.tally(session.threshold_for(0.5))).count == 0


def test_the_curve_runs_from_the_lowest_peak_to_nothing_fires():
    session = Session([track({100: 0.9, 200: 0.4}, words=((30.0, 30.5),)), track({295: 0.5}, words=((30.5, 31.2),))],
                      PLAIN)  # fmt: skip
    points = session.curve()
    assert [point.threshold for point in points] == sorted(point.threshold for point in points)
    rates = [point.false_accepts_per_hour for point in points]
    misses = [point.miss_rate for point in points]
    assert rates == sorted(rates, reverse=True) and misses == sorted(misses)
    assert (rates[-1], misses[-1]) == (0, 1)
    assert (points[0].threshold, rates[0], misses[0]) == (0.4, pytest.approx(2 / session.hours), 0.5)


def test_a_threshold_that_all_scores_reach_is_not_the_one_for_a_rate():
    # At 0.2 it would fire once and stay active for ever: one false accept.
    scores = np.full(600, 0.2)
    scores[[100, 300, 500]] = 0.9, 0.8, 0.7
    session = Session([Track("track", scores, 61.4)], PLAIN)
    assert session.threshold_for(1 / session.hours) == pytest.approx(0.8)


@pytest.mark.parametrize("always", [0.2, 0.5, 1.0])
def test_a_student_that_says_the_same_of_all_sound_hits_no_word_at_a_rate(always):
    # It would fire once at the start of the hours, and at the start of the word: one false accept, and a hit.
    hours = Track("hours", np.full(600, always), 61.4)
    word = Track("word", np.full(30, always), 4.4, ((1.5, 2.4),), counts_false=False)
    session = Session([hours, word], PLAIN)
    tally = session.tally(session.threshold_for(1 / session.hours))
    assert (len(tally.false), tally.n_hit) == (0, 0)


def test_a_detector_is_released_where_its_student_says_much_of_all_sound():
    # Never under hysteresis_low: as it stands, it would fire once and hear nothing more.
    scores = np.full(600, 0.4)
    scores[[100, 300, 500]] = 0.9
    session = Session([Track("hours", scores, 61.4)], PLAIN)
    assert session.typical == 0.4 and PLAIN.at(0.8).hysteresis_low == 0.3
    assert session.at(0.8).hysteresis_low == pytest.approx(0.6)
    assert [firing.step for firing in session.tally(0.8).false] == [100, 300, 500]
    # Of two values alike often, the lower is typical, and releases at any threshold above it.
    restless = Session([Track("hours", np.tile([0.4, 0.6], 300), 61.4)], PLAIN)
    assert len(restless.tally(np.nextafter(0.4, 1)).false) == 300
    assert restless.tally(restless.threshold_for(1 / restless.hours)).false == ()


def test_a_student_that_is_quiet_keeps_the_detectors_own_release():
    session = Session([track({100: 0.9})], PLAIN)
    assert (session.typical, session.at(0.8)) == (0.0, PLAIN.at(0.8))
    assert session.at(0.2).hysteresis_low == 0.2


def test_a_curve_of_nothing_is_empty():
    assert Session([], PLAIN).curve() == []
