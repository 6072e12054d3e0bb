"""A teacher's head: from pooled hidden states to logits."""

from typing import Self

import torch
from torch import Tensor, nn

N_CLASSES = 2


class Head(nn.Module):
    """(batch, layers, dim) -> logits (batch, 2), the wake word last."""


class LinearHead(Head):
    """A weighted mean of layers, then one linear map.

    Averaging over time commutes with a linear map, so this is transformers' audio classifier with
    ``use_weighted_layer_sum``, its projector and classifier folded into one.

    Args:
        layer_weights: (layers,), summing to 1; not trained.
        weight: (2, dim).
        bias: (2,).
    """

    layer_weights: Tensor

    def __init__(self, layer_weights: Tensor, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("layer_weights", layer_weights.float())
        self.weight = nn.Parameter(weight.float())
        self.bias = nn.Parameter(bias.float())

    @classmethod
    def of_score(cls, layer_weights: Tensor, weight: Tensor, bias: float) -> Self:
        """The head whose log-odds of the wake word are ``mix @ weight + bias``.

        Args:
            weight: (dim,).
        """
        half = weight.float() / 2
        return cls(layer_weights, torch.stack([-half, half]), torch.tensor([-bias / 2, bias / 2]))

    def forward(self, pooled: Tensor) -> Tensor:
        """(batch, layers, dim) -> logits (batch, 2)."""
        mix = torch.einsum("bld,l->bd", pooled, self.layer_weights)
        return nn.functional.linear(mix, self.weight, self.bias)


class PlatformHead(Head):
    """The platform's head on the last layer: Linear, ReLU, dropout that is off here, Linear.

    Args:
        hidden_weight, hidden_bias: (hidden, dim), (hidden,), the platform's ``classifier.0``.
        weight, bias: (2, hidden), (2,), its ``classifier.3``.
    """

    def __init__(self, hidden_weight: Tensor, hidden_bias: Tensor, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.hidden_weight, self.hidden_bias = nn.Parameter(hidden_weight.float()), nn.Parameter(hidden_bias.float())
        self.weight, self.bias = nn.Parameter(weight.float()), nn.Parameter(bias.float())

    def forward(self, pooled: Tensor) -> Tensor:
        """(batch, layers, dim) -> logits (batch, 2)."""
        hidden = nn.functional.relu(nn.functional.linear(pooled[:, -1], self.hidden_weight, self.hidden_bias))
        return nn.functional.linear(hidden, self.weight, self.bias)


def one_layer(layer: int, n_layers: int) -> Tensor:
    """(n_layers,) weights that take ``layer`` alone."""
    return nn.functional.one_hot(torch.tensor(layer), n_layers).float()


def all_layers(n_layers: int) -> Tensor:
    """(n_layers,) weights that take every layer alike."""
    return torch.full((n_layers,), 1 / n_layers)
