"""Running distune's command line within a test, and what every refusal has in common."""

from collections.abc import Callable
from typing import NamedTuple


class Done(NamedTuple):
    """What a command came to: exit status, standard output, standard error."""

    status: int
    shown: str
    told: str


Run = Callable[..., Done]


def assert_refused(done: Done, *faults: str, shown: str = "") -> None:
    """One line a fault on standard error, in any order, no traceback, status 2, and ``shown`` on standard output."""
    refusals = [line for line in done.told.splitlines() if line.startswith("refused: ")]
    assert done.status == 2 and done.shown == shown and "Traceback" not in done.told
    assert len(refusals) == len(faults), done.told
    for fault in faults:
        assert any(fault in line for line in refusals), f"{fault!r} is not in {refusals}"
