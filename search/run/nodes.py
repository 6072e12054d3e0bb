"""The nodes of the running cluster: what each has, and what kind of GPU."""

import time
from collections.abc import Callable
from typing import NamedTuple

import ray

TYPE = "accelerator_type:"
"""What Ray puts before a GPU's type in the name of the resource that says a node has it."""
SECONDS_BETWEEN_LOOKS = 1.0
Use = tuple[float, float]
"""CPUs and GPUs."""


class Node(NamedTuple):
    """A machine of the cluster.

    Args:
        id: Ray's.
        host: its name.
        cpus: that Ray may give out, as are ``gpus``.
        gpu_type: as Ray calls it, such as ``A100``; ``None`` where it has no GPU, or Ray does not know its type.
    """

    id: str
    host: str
    cpus: float
    gpus: float
    gpu_type: str | None = None

    def fits(self, cpus: float, gpus: float) -> int:
        """How many trials that take ``cpus`` and ``gpus`` each find room here, shares filling whole GPUs.

        >>> Node("1", "host", cpus=8, gpus=2).fits(cpus=1, gpus=0.3333)
        6
        """
        by_cpus = int(self.cpus / cpus + 1e-6)
        if not gpus:
            return by_cpus
        by_gpus = int(self.gpus) * int(1 / gpus + 1e-6) if gpus <= 1 else int(self.gpus / gpus + 1e-6)
        return min(by_cpus, by_gpus)


def alive_nodes() -> list[Node]:
    """Of the cluster that this process has joined, in the order of their ids."""
    found = []
    for node in ray.nodes():
        if node["Alive"]:
            has = node["Resources"]
            gpu_type = next((name.removeprefix(TYPE) for name in has if name.startswith(TYPE)), None)
            gpus = has.get("GPU", 0.0)
            found.append(
                Node(node["NodeID"], node["NodeManagerHostname"], has.get("CPU", 0.0), gpus, gpu_type if gpus else None)
            )
    return sorted(found)


def looking(
    look: Callable[[], list[Node]] = alive_nodes, clock: Callable[[], float] = time.monotonic
) -> Callable[[], list[Node]]:
    """``look``, asked again at most once a second: a driver asks at every suggestion."""
    seen: list[Node] = []
    looked = float("-inf")

    def nodes() -> list[Node]:
        nonlocal seen, looked
        if clock() - looked >= SECONDS_BETWEEN_LOOKS:
            seen, looked = look(), clock()
        return seen

    return nodes
