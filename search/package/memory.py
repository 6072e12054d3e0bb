"""How much RAM a student's activations take on a device, and the targets that the platform names for its boards."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, prod

import onnx

# A converter makes these part of the operator before them, or changes only how its result is read.
FUSED = {"Relu", "Reshape", "Flatten"}
BYTES_PER_ACTIVATION = 1


@dataclass(frozen=True)
class SizeTarget:
    """``size_targets`` of the platform: kB of 1024 bytes that a board has for a student."""

    max_flash_kb: int
    max_ram_kb: int

    def holds(self, flash_kb: float, ram_kb: float) -> bool:
        return flash_kb <= self.max_flash_kb and ram_kb <= self.max_ram_kb

    @classmethod
    def needed(cls, flash_kb: float, ram_kb: float) -> "SizeTarget":
        """The smallest whole targets that hold a student."""
        return cls(ceil(flash_kb), ceil(ram_kb))


# Of the platform's presets; that of a desktop has no limit.
BOARDS: Mapping[str, SizeTarget] = {"ESP32-S3": SizeTarget(256, 192), "Raspberry Pi Zero 2W": SizeTarget(2048, 1024)}


def activation_kb(model: onnx.ModelProto) -> float:
    """The most that is held at once while a clip passes through, as int8, in kB of 1024 bytes.

    Operators run in the order of the file; a tensor is held from its making to its last use, and while an operator
    runs, its inputs and outputs both are. Left out are the front-end, an interpreter's own tables (some kB) and what
    an operator borrows while it runs.

    Args:
        model: in float, of one input.
    """
    inferred = onnx.shape_inference.infer_shapes(model)
    graph = inferred.graph
    sizes = {
        value.name: _n_values(value) * BYTES_PER_ACTIVATION
        for value in [*graph.input, *graph.value_info, *graph.output]
    }
    nodes, alias = _operators(graph)
    weights = {tensor.name for tensor in graph.initializer}
    last_use = {alias.get(name, name): at for at, node in enumerate(nodes) for name in node.input}
    last_use |= {alias.get(value.name, value.name): len(nodes) for value in graph.output}
    held = {value.name: sizes[value.name] for value in graph.input}
    peak = sum(held.values())
    for at, node in enumerate(nodes):
        held |= {name: sizes[name] for name in node.output if name in sizes and name not in weights}
        peak = max(peak, sum(held.values()))
        held = {name: size for name, size in held.items() if last_use.get(name, -1) > at}
    return peak / 1024


def _operators(graph: onnx.GraphProto) -> tuple[list[onnx.NodeProto], dict[str, str]]:
    """The operators that make tensors of their own, and for what a fused one gives, the tensor that it is."""
    alias: dict[str, str] = {}
    nodes = []
    for node in graph.node:
        if node.op_type in FUSED:
            alias[node.output[0]] = alias.get(node.input[0], node.input[0])
        elif node.op_type != "Constant":
            nodes.append(node)
    return nodes, alias


def _n_values(value: onnx.ValueInfoProto) -> int:
    """Of a batch of one: a dimension without a number is the batch."""
    return prod(dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim)
