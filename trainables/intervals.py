"""How sure a count makes one of a rate or a share, by exact intervals, and clips of a metric, by resampling them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, chi2

CONFIDENCE = 0.95
N_RESAMPLES = 1000

Scores = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Rate:
    """Events in a time, and the rate per hour with its 95 % interval."""

    count: int
    hours: float
    per_hour: float
    low: float
    high: float

    @classmethod
    def of(cls, count: int, hours: float) -> "Rate":
        """The exact interval of a Poisson mean: half a chi-square's quantiles.

        ``low = chi2(a/2; 2n) / 2``, ``high = chi2(1 - a/2; 2n + 2) / 2`` (Garwood 1936, Fiducial limits for the
        Poisson distribution, Biometrika 28). No event in a time T leaves up to 3.69 / T.

        Raises:
            ValueError: no time.
        """
        if hours <= 0:
            raise ValueError(f"{hours} hours hold no rate")
        tail = (1 - CONFIDENCE) / 2
        low = float(chi2.ppf(tail, 2 * count)) / 2 if count else 0.0
        high = float(chi2.ppf(1 - tail, 2 * count + 2)) / 2
        return cls(count, hours, count / hours, low / hours, high / hours)

    def __str__(self) -> str:
        return f"{self.per_hour:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class Share:
    """How many of so many, and the share with its 95 % interval."""

    count: int
    of: int
    share: float
    low: float
    high: float

    @classmethod
    def counted(cls, count: int, of: int) -> "Share":
        """Clopper and Pearson's interval, from quantiles of beta distributions (Biometrika 26, 1934).

        Raises:
            ValueError: of none.
        """
        if not 0 <= count <= of or of == 0:
            raise ValueError(f"{count} of {of} is no share")
        tail = (1 - CONFIDENCE) / 2
        low = float(beta.ppf(tail, count, of - count + 1)) if count else 0.0
        high = float(beta.ppf(1 - tail, count + 1, of - count)) if count < of else 1.0
        return cls(count, of, count / of, low, high)

    def __str__(self) -> str:
        return f"{self.share:.1%} ({self.low:.1%} to {self.high:.1%})"


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def bootstrap(
    metrics: Callable[[Scores, Labels], Mapping[str, float]],
    scores: Scores,
    labels: Labels,
    groups: NDArray[np.int64],
    *,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Each metric and where it lies in 95 % of 1,000 sets of as many groups, drawn with replacement.

    The percentile interval (Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 13.3), over speakers
    because clips of one resemble each other (Field and Welsh 2007, Bootstrapping clustered data). Of few speakers it is
    too narrow.

    Args:
        metrics: of some clips' scores and labels, both classes among them.
        scores: (clips,) probabilities.
        labels: (clips,), 1 for the wake word.
        groups: (clips,) numbers from 0 of what belongs together.
    """
    members = [np.flatnonzero(groups == group) for group in range(int(groups.max()) + 1)]
    generator = np.random.default_rng(seed)
    found = metrics(scores, labels)
    resampled: list[list[float]] = []
    while len(resampled) < N_RESAMPLES:
        drawn = np.concatenate([members[group] for group in generator.integers(len(members), size=len(members))])
        # A metric needs both classes; sets that lack one say nothing.
        if 0 < labels[drawn].sum() < len(drawn):
            resampled.append(list(metrics(scores[drawn], labels[drawn]).values()))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.array(resampled), (tail, 1 - tail), axis=0)
    ends = zip(low, high, strict=True)
    return {
        name: Estimate(found[name], float(begin), float(end)) for name, (begin, end) in zip(found, ends, strict=True)
    }


def hours_to_show(per_hour: float) -> float:
    """Hours without any event after which the interval lies under a rate."""
    return Rate.of(0, 1.0).high / per_hour
