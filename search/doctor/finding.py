"""What an examination finds: one line a finding, each that is not fine with its remedy."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from search.home import Home
from spaces.sections import Resources, Teacher


class Verdict(StrEnum):
    FINE = "fine"
    ADVICE = "advice"  # distune works, and could work better
    MEND = "mend"  # a sweep would fail


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        what: was looked at, e.g. ``disk``.
        told: what was seen.
        remedy: what to do about it; empty where it is fine.
    """

    what: str
    verdict: Verdict
    told: str
    remedy: str = ""


def fine(what: str, told: str) -> Finding:
    return Finding(what, Verdict.FINE, told)


def advice(what: str, told: str, remedy: str) -> Finding:
    return Finding(what, Verdict.ADVICE, told, remedy)


def mend(what: str, told: str, remedy: str) -> Finding:
    return Finding(what, Verdict.MEND, told, remedy)


@dataclass(frozen=True)
class Subject:
    """What a sweep would be run with.

    Args:
        home: distune's, made.
        tracking_uri: the store that MLflow would be written to.
    """

    home: Home
    tracking_uri: str
    teacher: Teacher
    resources: Resources

    @property
    def ray_folder(self) -> Path:
        return Path.home() / ".ray"
