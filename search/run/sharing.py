"""Several sweeps on one cluster at once: each driver keeps to its fair part of it.

Every driver leaves a claim in its sweep's folder, reads those of the others, and reckons the same parts from them, so
that nobody has to be asked. Claims of dead drivers do not count: their locks are free.
"""

import heapq
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from search.driver import driver_of
from search.run.nodes import Use

CLAIM = "claim.json"


@dataclass(frozen=True)
class Claim:
    """What a running sweep would have of a cluster.

    Args:
        cluster: its address, or the name of a machine on which each sweep starts a Ray of its own.
        slots: how many of the sweep's trials fit the whole of it.
        wanted: how many it could have at work now.
        used: node to the CPUs and GPUs that its trials hold there.
    """

    name: str
    cluster: str
    priority: int
    slots: int
    wanted: int
    used: Mapping[str, Use] = field(default_factory=dict)


def apportion(claims: Sequence[Claim]) -> dict[str, int]:
    """How many trials each sweep may have at work.

    The next trial goes to the sweep with the least of the cluster for its priority, as long as it wants one and
    there is room (weighted max-min fairness). Everyone gets one, so that no sweep stands still.

    >>> apportion([Claim("a", "", 2, slots=9, wanted=9), Claim("b", "", 1, slots=9, wanted=9)])
    {'a': 6, 'b': 3}
    """
    given = {claim.name: min(1, claim.wanted) for claim in claims}
    room = 1.0 - sum(given[claim.name] / claim.slots for claim in claims)
    queue = [((given[claim.name] + 1) / claim.slots / claim.priority, claim.name, claim) for claim in claims]
    heapq.heapify(queue)
    while queue:
        _, name, claim = heapq.heappop(queue)
        if given[name] < claim.wanted and room >= 1 / claim.slots - 1e-9:
            given[name] += 1
            room -= 1 / claim.slots
            heapq.heappush(queue, ((given[name] + 1) / claim.slots / claim.priority, name, claim))
    return given


def claims_in(sweeps: Path) -> list[Claim]:
    """Of the sweeps at work in a folder of sweeps, by name."""
    found = []
    for file in sorted(sweeps.glob(f"*/{CLAIM}")):
        # One may go while it is read.
        with suppress(OSError, ValueError, TypeError):
            claim = Claim(**json.loads(file.read_text(encoding="utf-8")))
            if driver_of(file.parent):
                found.append(claim)
    return found


def told(claims: Sequence[Claim], name: str) -> str:
    """A sweep's part of its cluster in words; nothing where it has the whole.

    >>> told([Claim("a", "", 2, slots=9, wanted=9), Claim("b", "", 1, slots=9, wanted=9)], "a")
    'up to 6 trials at once at priority 2, beside b (up to 3 at priority 1)'
    """
    cluster = next((claim.cluster for claim in claims if claim.name == name), None)
    sharers = {claim.name: claim for claim in claims if claim.cluster == cluster}
    if len(sharers) < 2:
        return ""
    parts = apportion(list(sharers.values()))
    beside = ", ".join(
        f"{other} (up to {parts[other]} at priority {claim.priority})"
        for other, claim in sharers.items()
        if other != name
    )
    return f"up to {parts[name]} trials at once at priority {sharers[name].priority}, beside {beside}"


class Sharing:
    """One driver's part of its cluster.

    Args:
        folder: of its sweep; the other sweeps' are beside it.
        cluster: as of a `Claim`.
    """

    def __init__(self, folder: Path, cluster: str, priority: int) -> None:
        self._folder, self._cluster, self._priority = folder, cluster, priority
        self._own: Claim | None = None
        self.others: list[Claim] = []

    def part(self, slots: int, wanted: int, used: Mapping[str, Use]) -> int:
        """How many trials may be at work, beside the other sweeps that run now; arguments as of a `Claim`."""
        own = Claim(self._folder.name, self._cluster, self._priority, slots, wanted, used)
        if own != self._own:
            self._write(own)
        self.others = [
            claim
            for claim in claims_in(self._folder.parent)
            if claim.cluster == self._cluster and claim.name != own.name
        ]
        return apportion([own, *self.others])[own.name] if self.others else min(slots, wanted)

    @property
    def used_by_others(self) -> dict[str, Use]:
        """Node to the CPUs and GPUs that other sweeps' trials hold there."""
        found: defaultdict[str, Use] = defaultdict(lambda: (0.0, 0.0))
        for claim in self.others:
            for node, (cpus, gpus) in claim.used.items():
                found[node] = found[node][0] + cpus, found[node][1] + gpus
        return dict(found)

    def __str__(self) -> str:
        """As :func:`told`."""
        return told([self._own, *self.others], self._own.name) if self._own else ""

    def close(self) -> None:
        """Claim nothing any more."""
        (self._folder / CLAIM).unlink(missing_ok=True)

    def _write(self, own: Claim) -> None:
        self._own = own
        new = self._folder / f".{CLAIM}.new"
        # On a full disk, the others go by the one before, and the sweep goes on.
        with suppress(OSError):
            new.write_text(json.dumps(asdict(own)), encoding="utf-8")
            new.replace(self._folder / CLAIM)
