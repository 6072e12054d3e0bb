"""Machines that are to go and said so beforehand, such as spot machines: what trains there saves after every epoch."""

import time
from collections.abc import Callable

import ray

SECONDS_BETWEEN_LOOKS = 2.0  # of a notice of 30 s or more


def announced() -> set[str]:
    """Ids of the nodes that Ray is draining; Ray must run."""
    # As Ray Serve and Ray Train ask; there is no public way.
    return set(ray._private.state.state.get_draining_nodes())


class Leaving:
    """A cheap question: whether a node is to go.

    Args:
        announced: ids of those that are; asked at most every two seconds.
        clock: seconds, never running back.
    """

    def __init__(
        self, announced: Callable[[], set[str]] = announced, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._announced, self._clock = announced, clock
        self._nodes: set[str] = set()
        self._looked = float("-inf")

    def __call__(self, node: str | None) -> bool:
        if self._clock() - self._looked >= SECONDS_BETWEEN_LOOKS:
            self._nodes, self._looked = self._announced(), self._clock()
        return node in self._nodes
