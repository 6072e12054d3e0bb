"""Errors with their intervals, by numbers checkable by hand."""

import numpy as np
import pytest

from search.package.figures import figures, pauc
from trainables.metrics import evaluate

SCORES = np.array([0.9, 0.8, 0.6, 0.7, 0.4, 0.3, 0.2, 0.1])
LABELS = np.array([1, 1, 1, 0, 0, 0, 0, 0])


def test_shares_have_the_exact_interval_that_no_error_does_not_make_vanish() -> None:
    found = figures(SCORES, LABELS, [None] * 8, 0.75)
    assert (found["fpr"].value, found["fpr"].low) == (0.0, 0.0)
    assert found["fpr"].high == pytest.approx(1 - 0.025 ** (1 / 5))
    assert found["fnr"].value == pytest.approx(1 / 3)
    assert found["f1"].value == pytest.approx(2 * 2 / (2 + 3))


def test_pauc_is_that_of_a_trial() -> None:
    assert pauc(SCORES, LABELS) == evaluate(SCORES, LABELS, fpr=0.01, false_accepts_per_hour=0.5)["pauc"]


def test_intervals_hold_their_value_and_are_wider_by_speaker_where_speakers_differ() -> None:
    rng = np.random.default_rng(1)
    labels = np.tile([1, 0], 100)
    speakers = [f"s{i // 20}" for i in range(200)]
    heard = np.repeat(rng.normal(size=10), 20)  # a speaker is understood well or badly as a whole
    scores = 1 / (1 + np.exp(-(labels - 0.5) * 3 * heard - rng.normal(size=200)))
    by_clip, by_speaker = (figures(scores, labels, known, 0.5) for known in ([None] * 200, speakers))
    assert by_clip["f1"].low < by_clip["f1"].value < by_clip["f1"].high
    widths = [each["f1"].high - each["f1"].low for each in (by_clip, by_speaker)]
    assert widths[1] > 1.5 * widths[0]
