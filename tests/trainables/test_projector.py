"""Projectors: one a (teacher, layer), the contract's architecture."""

import torch
from torch import nn

from trainables.projector import Projectors, StackedProjector, projector


def test_a_projector_is_linear_norm_relu_linear():
    layers = projector(64, 768)
    assert [type(layer) for layer in layers] == [nn.Linear, nn.LayerNorm, nn.ReLU, nn.Linear]
    # 64 * 768 + 768, then 2 * 768, then 768 * 768 + 768: the contract's 642 k.
    assert sum(parameter.numel() for parameter in layers.parameters()) == 642_048


def separate_and_stacked(n_layers: int) -> tuple[nn.ModuleList, StackedProjector]:
    """Projectors of one seed, a module a layer and all in one."""
    torch.manual_seed(3)
    separate = nn.ModuleList(projector(4, 8) for _ in range(n_layers))
    torch.manual_seed(3)
    return separate, StackedProjector(4, 8, n_layers)


def test_stacked_projectors_are_as_many_separate_ones_to_rounding():
    separate, stacked = separate_and_stacked(3)
    embedding, target = torch.randn(5, 4), torch.randn(3, 5, 8)
    apart, together = embedding.clone().requires_grad_(), embedding.clone().requires_grad_()
    expected, got = torch.stack([layer(apart) for layer in separate]), stacked(together)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)
    ((expected - target) ** 2).mean().backward()
    ((got - target) ** 2).mean().backward()
    torch.testing.assert_close(together.grad, apart.grad, rtol=1e-5, atol=1e-6)
    for i, layer in enumerate(separate):
        for given, at, transposed in ((stacked.widen, 0, True), (stacked.mix, 3, True), (stacked.gain, 1, False)):
            gradient = given.grad[i].t() if transposed else given.grad[i, 0]
            torch.testing.assert_close(gradient, layer[at].weight.grad, rtol=1e-5, atol=1e-6)
        for given, at in ((stacked.widen_bias, 0), (stacked.shift, 1), (stacked.mix_bias, 3)):
            torch.testing.assert_close(given.grad[i, 0], layer[at].bias.grad, rtol=1e-5, atol=1e-6)


def test_equal_sizes_need_no_projector():
    projectors, embedding = Projectors(64, {"same": (1, 2)}, {"same": 64}), torch.randn(2, 64)
    assert torch.equal(projectors(embedding)["same"], torch.stack([embedding, embedding]))
    assert not list(projectors.parameters())


def test_each_teacher_and_layer_has_a_projector_of_its_own():
    projectors = Projectors(4, {"wide": (2, 6), "narrow": (0,)}, {"wide": 8, "narrow": 3})
    projected = projectors(torch.randn(5, 4))
    assert {teacher: layers.shape for teacher, layers in projected.items()} == {
        "wide": (2, 5, 8),
        "narrow": (1, 5, 3),
    }
    assert not torch.equal(*projected["wide"])


def test_without_alignment_there_are_no_projectors():
    projectors = Projectors(4, {}, {"wide": 8})
    assert projectors(torch.randn(5, 4)) == {} and not list(projectors.parameters())
