"""The RAM that activations take, counted by hand."""

import onnx
from onnx import TensorProto, helper

from search.package.memory import BOARDS, SizeTarget, activation_kb


def model(*nodes: onnx.NodeProto, output: str) -> onnx.ModelProto:
    value = helper.make_tensor_value_info("in", TensorProto.FLOAT, ["batch", 4, 256])
    result = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    return helper.make_model(helper.make_graph(nodes, "student", [value], [result]))


def test_an_operator_holds_what_it_reads_and_what_it_writes() -> None:
    assert activation_kb(model(helper.make_node("Sigmoid", ["in"], ["out"]), output="out")) == 2.0


def test_what_is_fused_into_the_operator_before_it_takes_nothing() -> None:
    sigmoid = helper.make_node("Sigmoid", ["in"], ["half"])
    assert activation_kb(model(sigmoid, helper.make_node("Relu", ["half"], ["out"]), output="out")) == 2.0


def test_a_branch_is_held_until_it_is_joined() -> None:
    nodes = [
        helper.make_node("Sigmoid", ["in"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Tanh", ["b"], ["c"]),
        helper.make_node("Tanh", ["c"], ["d"]),
        helper.make_node("Add", ["a", "d"], ["out"]),
    ]
    assert activation_kb(model(*nodes, output="out")) == 3.0


def test_targets_are_whole_kilobytes_that_hold_the_student() -> None:
    needed = SizeTarget.needed(63.6, 57.0)
    assert needed == SizeTarget(64, 57) and needed.holds(63.6, 57.0) and not needed.holds(63.6, 57.1)
    assert BOARDS["ESP32-S3"].holds(63.6, 57.0) and not BOARDS["ESP32-S3"].holds(300, 57)
