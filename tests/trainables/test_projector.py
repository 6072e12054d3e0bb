"""Projectors: one a (teacher, layer), the contract's architecture."""

import torch
from torch import nn

from trainables.projector import Projectors, projector


def test_a_projector_is_linear_norm_relu_linear():
    layers = projector(64, 768)
    assert [type(layer) for layer in layers] == [nn.Linear, nn.LayerNorm, nn.ReLU, nn.Linear]
    # 64 * 768 + 768, then 2 * 768, then 768 * 768 + 768: the contract's 642 k.
    assert sum(parameter.numel() for parameter in layers.parameters()) == 642_048


def test_equal_sizes_need_no_projector():
    embedding = torch.randn(2, 64)
    assert torch.equal(projector(64, 64)(embedding), embedding)


def test_each_teacher_and_layer_has_a_projector_of_its_own():
    projectors = Projectors(4, {"wide": (2, 6), "narrow": (0,)}, {"wide": 8, "narrow": 3})
    projected = projectors(torch.randn(5, 4))
    assert {teacher: [layer.shape for layer in layers] for teacher, layers in projected.items()} == {
        "wide": [(5, 8), (5, 8)],
        "narrow": [(5, 3)],
    }
    assert not torch.equal(*projected["wide"])


def test_without_alignment_there_are_no_projectors():
    projectors = Projectors(4, {}, {"wide": 8})
    assert projectors(torch.randn(5, 4)) == {} and not list(projectors.parameters())
