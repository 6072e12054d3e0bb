"""How many trials of a sweep may be at work at once, as nodes and other sweeps come and go."""

import time
from collections.abc import Callable

from search.run.rooms import Rooms
from search.run.sharing import Sharing
from spaces.sections import Resources

SECONDS_BETWEEN_LOOKS = 2.0


class Concurrency:
    """What the file allows, what the cluster holds, and what is left of it beside other sweeps.

    Args:
        at_start: trials that were to be at work at first; where more than fit then, the cluster grows for them.
        clock: seconds, never running back.
    """

    def __init__(
        self,
        resources: Resources,
        rooms: Rooms,
        sharing: Sharing,
        at_start: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most, self._rooms, self._sharing, self._clock = resources.max_concurrent_trials, rooms, sharing, clock
        self._to_grow_to = at_start if at_start > rooms.n_slots else 1
        self._looked, self._allowed = float("-inf"), 1

    def allowed(self, n_left: Callable[[], int]) -> int:
        """Now, one at least; reckoned anew every other second.

        Args:
            n_left: counts the trials that are yet to end.
        """
        if self._clock() - self._looked >= SECONDS_BETWEEN_LOOKS:
            self._looked = self._clock()
            slots, wanted = max(self._rooms.n_slots, self._to_grow_to), n_left()
            wanted = wanted if self._most is None else min(wanted, self._most)
            # One may always run, which tells a sweep's end from a wait.
            self._allowed = max(1, self._sharing.part(slots, wanted, self._rooms.used))
        return self._allowed

    @property
    def is_shared(self) -> bool:
        """Whether other sweeps run on the cluster."""
        return bool(self._sharing.others)
