"""A linear probe: what one pooled representation tells about the wake word."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression

Floats = NDArray[np.float64]

# Inverse strengths of the L2 penalty on standardised features.
STRENGTHS = tuple(10.0**power for power in range(-4, 2))
MAX_ITERATIONS = 2000
# Largest factor, either way, by which calibration scales log-odds.
MAX_SCALE = 20.0


@dataclass(frozen=True)
class Probe:
    """Log-odds ``features @ weight + bias`` of the wake word, both classes counted alike.

    weight: (dim,). loss: balanced log-loss on the validation clips, nats.
    """

    weight: Floats
    bias: float
    loss: float

    def score(self, features: Floats) -> Floats:
        """(n, dim) -> log-odds (n,)."""
        return features @ self.weight + self.bias


def fit_probe(train: Floats, train_labels: Floats, val: Floats, val_labels: Floats) -> Probe:
    """Logistic regression, its penalty and calibration chosen on the validation clips.

    Classes weigh alike, as in the students' default loss, so 0.5 is the threshold of equal classes.

    Args:
        train, val: (n, dim) features. train_labels, val_labels: (n,), 0 or 1.

    Raises:
        ValueError: one class is missing.
    """
    for labels, split in ((train_labels, "training"), (val_labels, "validation")):
        if len(np.unique(labels)) != 2:
            raise ValueError(f"the {split} clips are of one class; a probe needs wake words and negatives in both")
    mean, scale = train.mean(axis=0), train.std(axis=0)
    scale = np.where(scale > 1e-8 * np.abs(mean).max(initial=1.0), scale, 1.0)
    train = (train - mean) / scale
    model = LogisticRegression(class_weight="balanced", max_iter=MAX_ITERATIONS, warm_start=True)
    probes = []
    for strength in STRENGTHS:
        model.set_params(C=strength).fit(train, train_labels)
        weight = model.coef_[0].astype(np.float64) / scale
        bias = float(model.intercept_[0] - mean @ weight)
        score = val @ weight + bias
        # Calibrated first: an otherwise better fit is not to lose for being too sure of itself.
        factor = calibration(score, val_labels)
        probes.append(Probe(factor * weight, factor * bias, balanced_loss(factor * score, val_labels)))
    return min(probes, key=lambda probe: probe.loss)


def balanced_loss(score: Floats, labels: Floats) -> float:
    """Log-loss in nats of log-odds (n,), the mean over wake words and the mean over negatives averaged."""
    return _smoothed_loss(score, labels, labels.astype(np.float64))


def calibration(score: Floats, labels: Floats) -> float:
    """The factor on log-odds (n,) that calibrates them: an inverse temperature.

    One number, as in Guo et al. 2017 (https://arxiv.org/abs/1706.04599), against Platt's targets
    (1999), just inside 0 and 1, without which clips that are told apart wholly would ask for infinity.
    """
    n_positive = int(np.sum(labels))
    targets = np.where(labels == 1, (n_positive + 1) / (n_positive + 2), 1 / (len(labels) - n_positive + 2))
    bound = np.log(MAX_SCALE)
    found = minimize_scalar(
        lambda log_scale: _smoothed_loss(np.exp(log_scale) * score, labels, targets),
        bounds=(-bound, bound),
        method="bounded",
    )
    return float(np.exp(found.x))


def _smoothed_loss(score: Floats, labels: Floats, targets: Floats) -> float:
    # log(1 + exp(-s)) without overflow, for the target's share of each class.
    loss = targets * np.logaddexp(0, -score) + (1 - targets) * np.logaddexp(0, score)
    return float((loss[labels == 1].mean() + loss[labels == 0].mean()) / 2)
