"""Every metric, on clips one can count."""

import numpy as np
import pytest

from trainables.metrics import evaluate

LABELS = [1, 1, 0, 1, 0, 0, 1, 0]
SCORES = [0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1]
RATES = {"fpr": 0.25, "false_accepts_per_hour": 600.0}


def test_metrics_of_eight_clips():
    # At 0.5: 3 hits, 1 false alarm, 1 miss. Four negatives of 1.5 s are 1/600 h.
    # ROC: (0, 0) (0, .25) (0, .5) (.25, .5) (.25, .75) (.5, .75) (.75, .75) (.75, 1) (1, 1).
    assert evaluate(SCORES, LABELS, **RATES) == pytest.approx(
        {
            "f1": 0.75,
            "precision": 0.75,
            "recall": 0.75,
            "fnr": 0.25,
            "fpr": 0.25,
            "accuracy": 0.75,
            "false_accepts_per_hour": 600.0,
            "auc": 12 / 16,  # of 16 pairs, 12 are in order
            "pauc": 0.5,  # half the wake words lie above every negative
            "eer": 0.25,
            "frr_at_fpr": 0.25,
            "frr_at_fah": 0.25,
            "threshold_at_fpr": 0.5,  # between the second negative, 0.4, and the clip above it
        }
    )


def test_the_threshold_of_logits_is_a_probability_and_the_one_for_their_softmax():
    margins = np.log(SCORES) - np.log1p(-np.array(SCORES))
    logits = np.stack([3 * np.ones(8), 3 + margins], axis=1)
    assert evaluate(logits, LABELS, **RATES) == pytest.approx(evaluate(SCORES, LABELS, **RATES))
    far = evaluate(1000 * logits - 3000, LABELS, **RATES)
    assert 0 <= far["threshold_at_fpr"] <= 1


@pytest.mark.parametrize(("fpr", "expected"), [(0.01, 0.5), (0.24, 0.5), (0.25, 0.25), (0.75, 0.0)])
def test_misses_at_a_false_positive_rate_are_those_of_the_best_threshold_within_it(fpr, expected):
    assert evaluate(SCORES, LABELS, fpr=fpr, false_accepts_per_hour=1)["frr_at_fpr"] == pytest.approx(expected)


@pytest.mark.parametrize(("rate", "expected"), [(0.5, 0.5), (599, 0.5), (600, 0.25), (1800, 0.0)])
def test_misses_at_a_false_accept_rate_count_over_the_hours_of_negatives(rate, expected):
    found = evaluate(SCORES, LABELS, fpr=0.1, false_accepts_per_hour=rate)["frr_at_fah"]
    assert found == pytest.approx(expected)


def test_clip_seconds_set_the_hours():
    found = evaluate(SCORES, LABELS, clip_seconds=3.0, **RATES)
    assert found["false_accepts_per_hour"] == pytest.approx(300)


def test_chance_has_the_platforms_pauc_of_a_twentieth():
    # All scores tie: the ROC is the diagonal, whose area up to 0.1 is 0.005. McClish would give 0.5.
    found = evaluate([0.3] * 8, LABELS, **RATES)
    assert (found["pauc"], found["auc"], found["eer"]) == pytest.approx((0.05, 0.5, 0.5))


def test_pauc_interpolates_at_its_limit():
    # The best-scored wake word ties with one of two negatives: the ROC rises from (0, 0) to (.5, 1).
    found = evaluate([0.9, 0.9, 0.1], [1, 0, 0], **RATES)
    assert found["pauc"] == pytest.approx(0.1 * 0.2 / 2 / 0.1)


def test_a_perfect_student():
    found = evaluate([0.9, 0.8, 0.2], [1, 1, 0], **RATES)
    assert [found[key] for key in ("f1", "auc", "pauc")] == [1, 1, 1]
    assert [found[key] for key in ("eer", "frr_at_fpr", "frr_at_fah", "fpr")] == [0, 0, 0, 0]


def test_a_student_that_accepts_nothing_has_f1_and_precision_zero():
    found = evaluate([0.4, 0.3, 0.2], [1, 1, 0], **RATES)
    assert (found["f1"], found["precision"], found["fnr"], found["auc"]) == (0, 0, 1, 1)


def test_logits_are_ranked_by_margin_where_probabilities_saturate():
    logits = [[0.0, 60.0], [0.0, 50.0], [1.0, 0.0]]  # the first two have probability 1.0 in floats
    found = evaluate(logits, [1, 0, 0], **RATES)
    assert found["auc"] == 1 and found["precision"] == 0.5


def test_metrics_are_plain_floats_that_a_checkpoint_and_a_yaml_can_hold():
    assert {type(value) for value in evaluate(np.float32(SCORES), LABELS, **RATES).values()} == {float}


def test_a_nan_score_is_refused():
    with pytest.raises(ValueError, match="1 of 2 scores"):
        evaluate([0.3, float("nan")], [0, 1], **RATES)


@pytest.mark.parametrize("label", [0, 1])
def test_a_split_of_one_class_is_refused(label):
    with pytest.raises(ValueError, match="both classes"):
        evaluate([0.3, 0.4], [label, label], **RATES)
