"""What a shipped student does on clips: its errors with intervals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import roc_curve

from trainables.metrics import PAUC_FPR, Roc, partial_auc

N_RESAMPLES = 1000
CONFIDENCE = 0.95

Scores = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Figure:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def figures(scores: Scores, labels: Labels, speakers: list[str | None], threshold: float) -> dict[str, Figure]:
    """``pauc`` and ``f1`` by bootstrap, ``fpr`` and ``fnr`` by exact binomial intervals; all but pAUC at the threshold.

    The bootstrap draws speakers where all are known, for clips of one speaker are alike, otherwise clips; 2.5th and
    97.5th percentile of its draws (Efron 1979, https://doi.org/10.1214/aos/1176344552). A draw without clips of both
    classes is left out. The exact intervals are Clopper and Pearson's (1934, Biometrika 26), which zero errors do
    not make vanish; they take clips for independent.

    Args:
        scores, labels: (clips,).
        speakers: of each clip.
    """
    at = _at(scores, labels, threshold)
    units = np.unique([speaker or "" for speaker in speakers], return_inverse=True)[1]
    if None in speakers or units.max() == 0:
        units = np.arange(len(scores))
    drawn = _resampled(scores, labels, units, threshold)
    accepted, truth = scores > threshold, labels == 1
    return {
        **{
            name: Figure(at[name], *np.percentile([each[name] for each in drawn], [2.5, 97.5]).tolist())
            for name in ("pauc", "f1")
        },
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


def _resampled(scores: Scores, labels: Labels, units: NDArray[np.int64], threshold: float) -> list[dict[str, float]]:
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(units == unit) for unit in range(units.max() + 1)]
    found = []
    for _ in range(N_RESAMPLES):
        clips = np.concatenate([members[unit] for unit in rng.integers(len(members), size=len(members))])
        if 0 < labels[clips].sum() < len(clips):
            found.append(_at(scores[clips], labels[clips], threshold))
    return found


def _share(n: int, of: int) -> Figure:
    interval = binomtest(n, of).proportion_ci(CONFIDENCE, method="exact")
    return Figure(n / of, float(interval.low), float(interval.high))
