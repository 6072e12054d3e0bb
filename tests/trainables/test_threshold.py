"""The operating threshold, by hand."""

import pytest

from trainables.threshold import error_rates, operating_point, operating_threshold

NEGATIVES = [0.1, 0.2, 0.3, 0.6]
POSITIVES = [0.4, 0.8, 0.9]
SCORES, LABELS = [*NEGATIVES, *POSITIVES], [0] * 4 + [1] * 3


def test_without_a_negative_to_spare_it_lies_midway_above_the_highest() -> None:
    assert operating_threshold(SCORES, LABELS, fpr=0.01) == pytest.approx(0.7)
    assert error_rates(SCORES, LABELS, 0.7) == pytest.approx((0.0, 1 / 3))


def test_one_negative_of_four_may_be_accepted_at_a_quarter() -> None:
    assert operating_threshold(SCORES, LABELS, fpr=0.25) == pytest.approx(0.35)
    assert error_rates(SCORES, LABELS, 0.35) == (0.25, 0.0)


def test_all_may_be_accepted_at_one() -> None:
    assert operating_threshold(SCORES, LABELS, fpr=1.0) == 0.0


def test_ties_of_negatives_stay_together_below() -> None:
    assert operating_threshold([0.5, 0.5, 0.9], [0, 0, 1], fpr=0.5) == pytest.approx(0.7)


def test_above_a_negative_that_scores_one_nothing_is_accepted() -> None:
    chosen = operating_threshold([0.2, 1.0, 0.9, 1.0], [0, 0, 1, 1], fpr=0.0)
    assert chosen == 1.0 and error_rates([0.2, 1.0, 0.9, 1.0], [0, 0, 1, 1], chosen) == (0.0, 1.0)


def test_the_threshold_is_chosen_on_validation_and_told_on_both() -> None:
    point = operating_point(SCORES, LABELS, [0.75, 0.1, 0.72, 0.6], [0, 0, 1, 1], fpr=0.01)
    assert point.threshold == pytest.approx(0.7)
    assert (point.val_fpr, point.test_fpr, point.test_fnr) == (0.0, 0.5, 0.5)


def test_clips_of_one_class_have_no_threshold() -> None:
    with pytest.raises(ValueError, match="all 2 clips are of one class"):
        operating_threshold([0.1, 0.2], [0, 0], fpr=0.01)
