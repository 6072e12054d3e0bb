"""Where sweeps were submitted to, in distune's home on this machine: ``submitted/NAME.json``, a file each."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from search.home import Home


@dataclass(frozen=True)
class Submission:
    """A sweep on a cluster.

    Args:
        address: of the cluster's dashboard.
        job: the last that works on it there.
        since: when that was submitted, seconds since 1970.
    """

    name: str
    address: str
    job: str
    since: float

    @classmethod
    def now(cls, name: str, address: str, job: str) -> "Submission":
        return cls(name, address, job, time.time())


def note(home: Home, submission: Submission) -> None:
    """Remember it, instead of an earlier one of that name."""
    file = _folder(home) / f"{submission.name}.json"
    file.parent.mkdir(exist_ok=True)
    new = file.with_name(f".{file.name}.new")
    new.write_text(json.dumps(asdict(submission)), encoding="utf-8")
    new.replace(file)


def submission_of(home: Home, name: str) -> Submission | None:
    """Where the sweep ``name`` was submitted to, if it was from here."""
    return next((found for found in submissions(home) if found.name == name), None)


def submissions(home: Home) -> Iterator[Submission]:
    """All, in alphabetical order; a note that cannot be read is none."""
    for file in sorted(_folder(home).glob("[!.]*.json")):
        with suppress(OSError, ValueError, TypeError):
            yield Submission(**json.loads(file.read_text(encoding="utf-8")))


def _folder(home: Home) -> Path:
    return home.root / "submitted"
