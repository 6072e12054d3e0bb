"""What Tune asks Ray for a trial, and the node where the trial would best go. Workers read it, so it imports little."""

from collections.abc import Mapping
from typing import Any

from ray.tune import PlacementGroupFactory
from ray.util.placement_group import PlacementGroup, placement_group

A_NODE_OF_THE_TYPE = 0.001  # of the one unit that each node has of its GPU type's name


class Placed(PlacementGroupFactory):
    """Resources of one trial on one node.

    Ray alone spreads trials over the nodes, whatever its strategy, because each is a group of its own (run: 2.60). The
    wish for a node is soft: where it has gone or is full, Ray takes another. It is no part of what two requests are
    compared by, so that Tune uses a worker again for a trial that would have gone elsewhere.
    """

    def __init__(self, bundle: Mapping[str, float], node: str | None = None) -> None:
        super().__init__([dict(bundle)], strategy="STRICT_PACK")
        self.node = node

    def to_placement_group(self) -> PlacementGroup:
        return placement_group(self.bundles, strategy=self.strategy, _soft_target_node_id=self.node)


def requested(config: Mapping[str, Any]) -> Placed:
    """The resources that a trial's config names, as Tune asks for them."""
    wants = config["resources"]
    bundle = {"CPU": wants["cpu"], "GPU": wants["gpu"]}
    if "gpu_type" in wants:
        bundle[f"accelerator_type:{wants['gpu_type']}"] = A_NODE_OF_THE_TYPE
    return Placed(bundle, wants.get("node"))
