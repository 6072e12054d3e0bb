"""How sure a count makes one of a rate or a share: exact intervals."""

from dataclasses import dataclass

from scipy.stats import beta, chi2

CONFIDENCE = 0.95


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


def hours_to_show(per_hour: float) -> float:
    """Hours without any event after which the interval lies under a rate."""
    return Rate.of(0, 1.0).high / per_hour
