"""Above which score a student wakes: chosen on validation clips, so that test clips can say what comes of it."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold, a clip being accepted above it, with the rates there; see `operating_threshold`."""

    threshold: float
    val_fpr: float
    val_fnr: float
    test_fpr: float
    test_fnr: float


def operating_point(
    val_scores: ArrayLike, val_labels: ArrayLike, test_scores: ArrayLike, test_labels: ArrayLike, *, fpr: float
) -> OperatingPoint:
    """The threshold chosen on validation, and what it does on both splits.

    Args:
        val_scores: (clips,) probabilities of the wake word; so ``test_scores``.
        val_labels: (clips,), 1 for the wake word; so ``test_labels``.
        fpr: most of the validation split's negatives that may be accepted, a share.

    Raises:
        ValueError: a split lacks wake words or negatives.
    """
    chosen = operating_threshold(val_scores, val_labels, fpr=fpr)
    return OperatingPoint(chosen, *error_rates(val_scores, val_labels, chosen),
                          *error_rates(test_scores, test_labels, chosen))  # fmt: skip


def operating_threshold(scores: ArrayLike, labels: ArrayLike, *, fpr: float) -> float:
    """The lowest threshold above which at most a share ``fpr`` of the negatives lies.

    Midway between the highest negative that must stay below it and the next higher score, for clips that are yet to
    come fall between the two. Where that negative scores 1, nothing is accepted.

    Args:
        scores: (clips,) probabilities of the wake word.
        labels: (clips,), 1 for the wake word.

    Returns:
        In [0, 1].
    """
    values, truth = _checked(scores, labels)
    negatives = np.sort(values[~truth])[::-1]
    # Rounding must not take away a negative that is just allowed.
    n_allowed = math.floor(fpr * len(negatives) * (1 + 1e-9))
    if n_allowed >= len(negatives):
        return 0.0
    below = float(negatives[n_allowed])
    return (below + float(min(values[values > below], default=below))) / 2


def error_rates(scores: ArrayLike, labels: ArrayLike, threshold: float) -> tuple[float, float]:
    """False positive and false negative rate of accepting what scores above ``threshold``."""
    values, truth = _checked(scores, labels)
    accepted = values > threshold
    return float(np.mean(accepted[~truth])), float(np.mean(~accepted[truth]))


def _checked(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels).astype(bool)
    if truth.all() or not truth.any():
        raise ValueError(f"all {len(truth)} clips are of one class; a threshold needs wake words and negatives")
    return values, truth
