"""Means over seeds, and what one arm gains over another when both ran on the same seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

from scipy.stats import t as student_t

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """A metric over seeds; of one seed there is no standard deviation."""

    mean: float
    sd: float | None
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """``sd`` is the sample's, with n - 1 in the denominator."""
        return cls(fmean(values), stdev(values) if len(values) > 1 else None, len(values))

    def __str__(self) -> str:
        return f"{self.mean:.3f}" if self.sd is None else f"{self.mean:.3f} ± {self.sd:.3f}"


@dataclass(frozen=True)
class Gain:
    """The mean of paired differences and its 95 % interval; of one pair there is no interval.

    Above 0 is better, whether a metric is to be high or low.
    """

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def told_from_chance(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def paired_gain(differences: Sequence[float]) -> Gain:
    """The mean difference and its interval by Student's t on n - 1 degrees of freedom.

    ``mean ± t * sd / sqrt(n)`` (Student 1908, The probable error of a mean, Biometrika 6(1), whose own example is
    one of paired differences). Pairing takes out what a seed does to both arms alike.

    Args:
        differences: better minus worse being positive, one a seed.
    """
    spread = Spread.of(differences)
    if spread.sd is None:
        return Gain(spread.mean, None, None, spread.n)
    quantile = float(student_t.ppf((1 + CONFIDENCE) / 2, spread.n - 1))
    half = quantile * spread.sd / sqrt(spread.n)
    return Gain(spread.mean, spread.mean - half, spread.mean + half, spread.n)


def prediction_interval(spread: Spread) -> tuple[float, float] | None:
    """Where one more run, on another seed, falls in 95 % of cases; ``None`` of one seed.

    ``mean ± t * sd * sqrt(1 + 1 / n)`` with n - 1 degrees of freedom (Hahn and Meeker 1991, Statistical Intervals,
    on the prediction interval of a single future observation from a normal distribution).
    """
    if spread.sd is None:
        return None
    quantile = float(student_t.ppf((1 + CONFIDENCE) / 2, spread.n - 1))
    half = quantile * spread.sd * sqrt(1 + 1 / spread.n)
    return spread.mean - half, spread.mean + half
