"""What a shipped student does on clips: its errors with intervals."""

import numpy as np
from sklearn.metrics import roc_curve

from trainables.intervals import Estimate, Labels, Scores, Share, bootstrap
from trainables.metrics import PAUC_FPR, Roc, partial_auc


def figures(scores: Scores, labels: Labels, speakers: list[str | None], threshold: float) -> dict[str, Estimate]:
    """``pauc`` and ``f1`` by bootstrap, ``fpr`` and ``fnr`` by exact binomial intervals; all but pAUC at the threshold.

    The bootstrap draws speakers where all are known, for clips of one speaker are alike, otherwise clips. The exact
    intervals, which zero errors do not make vanish, take clips for independent. See `trainables.intervals`.

    Args:
        scores, labels: (clips,).
        speakers: of each clip.
    """
    units = np.unique([speaker or "" for speaker in speakers], return_inverse=True)[1]
    if None in speakers or units.max() == 0:
        units = np.arange(len(scores))
    accepted, truth = scores > threshold, labels == 1
    return {
        **bootstrap(lambda scores, labels: _at(scores, labels, threshold), scores, labels, units),
        "fpr": _share(int(np.sum(accepted & ~truth)), int(np.sum(~truth))),
        "fnr": _share(int(np.sum(~accepted & truth)), int(np.sum(truth))),
    }


def pauc(scores: Scores, labels: Labels) -> float:
    """As a trial's: see `trainables.metrics.partial_auc`."""
    return partial_auc(Roc(*roc_curve(labels, scores, drop_intermediate=False)[:2]), PAUC_FPR)


def _at(scores: Scores, labels: Labels, threshold: float) -> dict[str, float]:
    accepted, truth = scores > threshold, labels == 1
    hits = int(np.sum(accepted & truth))
    return {"pauc": pauc(scores, labels), "f1": 2 * hits / max(1, int(accepted.sum() + truth.sum()))}


def _share(n: int, of: int) -> Estimate:
    found = Share.counted(n, of)
    return Estimate(found.share, found.low, found.high)
