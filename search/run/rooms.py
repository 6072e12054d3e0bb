"""Where trials are at work, and on which node the next one is to go: packed or spread, by GPU type."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from search.run.nodes import Node, Use
from search.run.shares import Shares
from spaces.trial import TrialConfig

CLOSE = 1e-6  # thirds of a GPU do not add up to a whole one


@dataclass(frozen=True)
class Room:
    """What a trial holds, and where, as far as that is known."""

    cpus: float
    gpus: float
    node: str | None


class Rooms:
    """The trials of this sweep by node.

    The driver keeps the account itself, because Ray's own is a moment old, and a burst of trials would all be sent
    to the node that was free then.

    Args:
        nodes: those of the cluster, now.
        others: node to what other sweeps use there.
    """

    def __init__(
        self,
        shares: Shares,
        placement: Literal["pack", "spread"],
        nodes: Callable[[], list[Node]],
        others: Callable[[], Mapping[str, Use]] = dict,
    ) -> None:
        self.shares, self.placement = shares, placement
        self._nodes, self._others = nodes, others
        self._held: dict[str, Room] = {}
        self._with_corpus: set[str] = set()

    @property
    def n_slots(self) -> int:
        """How many of the least demanding trials fit the nodes as they are, with nothing else on them."""
        return sum(self._slots(node) for node in self._nodes())

    def give(self, trial_id: str, config: TrialConfig) -> dict[str, Any]:
        """What a new trial gets: ``cpu``, ``gpu``, ``gpu_type`` where that matters, and the ``node`` it best goes to.

        Where no node has room, it waits for one with a GPU of the type that holds the most trials.
        """
        taken = self._taken()
        fitting = [node for node in self._nodes() if self._has_room(node, taken[node.id], config)]
        if not fitting:
            wants = self.shares.of(config, max(self.shares.types, key=self._slots_of))
            self._held[trial_id] = Room(wants["cpu"], wants["gpu"], None)
            return wants
        best = min(fitting, key=lambda node: self._rank(node, taken[node.id]))
        wants = self.shares.of(config, best.gpu_type)
        self._held[trial_id] = Room(wants["cpu"], wants["gpu"], best.id)
        return wants | {"node": best.id}

    def seen(self, trial_id: str, node: str) -> None:
        """A trial is at work on ``node``, wherever it was to go; the corpus is there too."""
        self._with_corpus.add(node)
        if trial_id in self._held:
            self._held[trial_id] = replace(self._held[trial_id], node=node)

    def leave(self, trial_id: str) -> None:
        """A trial has ended."""
        self._held.pop(trial_id, None)

    @property
    def used(self) -> dict[str, Use]:
        """Node to what this sweep's trials hold there."""
        found: defaultdict[str, Use] = defaultdict(lambda: (0.0, 0.0))
        for room in self._held.values():
            if room.node is not None:
                cpus, gpus = found[room.node]
                found[room.node] = cpus + room.cpus, gpus + room.gpus
        return dict(found)

    def _taken(self) -> defaultdict[str, Use]:
        """Node to what all sweeps' trials hold there."""
        taken = defaultdict(lambda: (0.0, 0.0), self.used)
        for node, (cpus, gpus) in self._others().items():
            taken[node] = taken[node][0] + cpus, taken[node][1] + gpus
        return taken

    def _has_room(self, node: Node, taken: Use, config: TrialConfig) -> bool:
        if not self.shares.takes(node.gpu_type):
            return False
        wants = self.shares.of(config, node.gpu_type)
        return node.cpus - taken[0] >= wants["cpu"] - CLOSE and node.gpus - taken[1] >= wants["gpu"] - CLOSE

    def _slots_of(self, gpu_type: str | None) -> int:
        return sum(self._slots(node) for node in self._nodes() if node.gpu_type == gpu_type)

    def _slots(self, node: Node) -> int:
        if not self.shares.takes(node.gpu_type):
            return 0
        smallest = self.shares.smallest_on(node.gpu_type)
        return node.fits(smallest["cpu"], smallest["gpu"])

    def _rank(self, node: Node, taken: Use) -> tuple[Any, ...]:
        """Ascending: packed, nodes with the corpus and then the fullest come first; spread, the emptiest do."""
        part = max(taken[0] / node.cpus, taken[1] / node.gpus if node.gpus else 0.0)
        if self.placement == "spread":
            return part, node.id
        # Of two types, the one on which a trial takes the smaller share is the larger GPU.
        return node.id not in self._with_corpus, -part, self.shares.smallest_on(node.gpu_type)["gpu"], node.id
