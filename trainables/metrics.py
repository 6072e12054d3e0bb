"""How well a student spots the wake word, from its scores on a split."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_curve

from trainables.threshold import operating_threshold

THRESHOLD = 0.5
PAUC_FPR = 0.1
SECONDS_PER_HOUR = 3600.0

Floats = NDArray[np.float64]


class Roc(NamedTuple):
    """An ROC curve from "reject all" (0, 0) to "accept all" (1, 1); both (points,)."""

    fpr: Floats
    tpr: Floats


def evaluate(
    scores: ArrayLike, labels: ArrayLike, *, clip_seconds: float = 1.5, fpr: float, false_accepts_per_hour: float
) -> dict[str, float]:
    """Every metric of a split.

    Args:
        scores: (clips, 2) logits, the wake word last, or (clips,) probabilities of the wake word.
        labels: (clips,), 1 for the wake word.
        clip_seconds: length of a clip, for the hours of negatives.
        fpr: false positive rate at which ``frr_at_fpr`` is read.
        false_accepts_per_hour: rate at which ``frr_at_fah`` is read.

    Returns:
        At threshold 0.5: f1, fpr, fnr, precision, recall, accuracy, and false_accepts_per_hour over the
        hours of negatives. Over all thresholds: auc, pauc, eer, frr_at_fpr, frr_at_fah. And threshold_at_fpr, the
        probability that frr_at_fpr is read at, see `trainables.threshold`.

    Raises:
        ValueError: a score is not finite, or one class is missing.
    """
    truth = np.asarray(labels).astype(bool)
    ranking, accepted = _ranked(np.asarray(scores, dtype=np.float64))
    _check(ranking, truth)
    roc = Roc(*roc_curve(truth, ranking, drop_intermediate=False)[:2])
    n_negative = int(np.sum(~truth))
    negative_hours = n_negative * clip_seconds / SECONDS_PER_HOUR
    fpr_at_rate = false_accepts_per_hour * negative_hours / n_negative
    return {
        **_at_threshold(accepted, truth, negative_hours),
        "auc": float(np.trapezoid(roc.tpr, roc.fpr)),
        "pauc": partial_auc(roc, PAUC_FPR),
        "eer": equal_error_rate(roc),
        "frr_at_fpr": false_rejection_rate(roc, fpr),
        "frr_at_fah": false_rejection_rate(roc, fpr_at_rate),
        "threshold_at_fpr": operating_threshold(_probabilities(ranking, scores), truth, fpr=fpr),
    }


def partial_auc(roc: Roc, max_fpr: float) -> float:
    """ROC area up to ``max_fpr``, divided by ``max_fpr``: 1 is perfect, ``max_fpr / 2`` is chance.

    The platform's definition, not McClish's standardised one, which scikit-learn's ``max_fpr`` gives.
    """
    inside = roc.fpr <= max_fpr
    area_fpr = np.append(roc.fpr[inside], max_fpr)
    area_tpr = np.append(roc.tpr[inside], np.interp(max_fpr, roc.fpr, roc.tpr))
    return float(np.trapezoid(area_tpr, area_fpr)) / max_fpr


def equal_error_rate(roc: Roc) -> float:
    """Where false positive and false negative rate meet, on the line between the points around it."""
    excess = roc.fpr - (1 - roc.tpr)  # rises from -1 to 1
    after = int(np.argmax(excess >= 0))
    share = -excess[after - 1] / (excess[after] - excess[after - 1])
    return float(roc.fpr[after - 1] + share * (roc.fpr[after] - roc.fpr[after - 1]))


def false_rejection_rate(roc: Roc, max_fpr: float) -> float:
    """The lowest share of wake words missed by a threshold whose false positive rate is at most ``max_fpr``."""
    # A rate that allows just one false positive more must not miss it by rounding.
    return float(1 - roc.tpr[roc.fpr <= max_fpr * (1 + 1e-9)].max())


def _ranked(scores: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """What orders the clips, and which clips threshold 0.5 accepts."""
    if scores.ndim == 1:
        return scores, scores > THRESHOLD
    # The margin orders as the probability does, but never saturates into ties.
    margin = scores[:, 1] - scores[:, 0]
    return margin, margin > 0


def _probabilities(ranking: Floats, scores: ArrayLike) -> Floats:
    """(clips,) of the wake word: of two classes, the logistic function of the margin is their softmax."""
    if np.ndim(scores) == 1:
        return ranking
    raised = np.exp(-np.abs(ranking))
    return np.where(ranking >= 0, 1.0, raised) / (1.0 + raised)


def _check(scores: Floats, truth: NDArray[np.bool_]) -> None:
    n_wrong = int(np.sum(~np.isfinite(scores)))
    if n_wrong:
        raise ValueError(f"{n_wrong} of {len(scores)} scores are not finite; the student diverged or its input is bad")
    if truth.all() or not truth.any():
        raise ValueError(
            f"all {len(truth)} clips are {'wake words' if truth.any() else 'negatives'}; give the split both classes"
        )


def _at_threshold(accepted: NDArray[np.bool_], truth: NDArray[np.bool_], negative_hours: float) -> dict[str, float]:
    tp = int(np.sum(accepted & truth))
    fp = int(np.sum(accepted & ~truth))
    n_positive = int(np.sum(truth))
    n_negative = len(truth) - n_positive
    return {
        "f1": 2 * tp / (tp + fp + n_positive),
        "precision": tp / (tp + fp) if tp + fp else 0.0,
        "recall": tp / n_positive,
        "fnr": 1 - tp / n_positive,
        "fpr": fp / n_negative,
        "accuracy": (tp + n_negative - fp) / len(truth),
        "false_accepts_per_hour": fp / negative_hours,
    }
