"""How a student's embedding is brought to a teacher's size; thrown away after training."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def projector(student_dim: int, teacher_dim: int) -> nn.Sequential:
    """One layer's projector: embedding (batch, student_dim) to (batch, teacher_dim)."""
    return nn.Sequential(
        nn.Linear(student_dim, teacher_dim),
        nn.LayerNorm(teacher_dim),
        nn.ReLU(inplace=True),
        nn.Linear(teacher_dim, teacher_dim),
    )


class StackedProjector(nn.Module):
    """The projectors of several layers of one teacher, side by side: a product each for all layers.

    Equal to as many of :func:`projector`, whose initial weights it takes. Weights lie (layers, in, out), which
    is how they are multiplied by, forwards and backwards.
    """

    def __init__(self, student_dim: int, teacher_dim: int, n_layers: int) -> None:
        super().__init__()
        parts = list(zip(*(projector(student_dim, teacher_dim) for _ in range(n_layers)), strict=True))
        self.widen = nn.Parameter(torch.stack([linear.weight.detach().t() for linear in parts[0]]))
        self.widen_bias = nn.Parameter(torch.stack([linear.bias.detach()[None] for linear in parts[0]]))
        self.gain = nn.Parameter(torch.ones(n_layers, 1, teacher_dim))
        self.shift = nn.Parameter(torch.zeros(n_layers, 1, teacher_dim))
        self.mix = nn.Parameter(torch.stack([linear.weight.detach().t() for linear in parts[3]]))
        self.mix_bias = nn.Parameter(torch.stack([linear.bias.detach()[None] for linear in parts[3]]))

    def forward(self, embedding: Tensor) -> Tensor:
        """Embedding (batch, student_dim) to (layers, batch, teacher_dim)."""
        wide = torch.baddbmm(self.widen_bias, embedding.expand(len(self.widen), -1, -1), self.widen)
        normal = F.layer_norm(wide, wide.shape[-1:])
        return torch.baddbmm(self.mix_bias, torch.addcmul(self.shift, normal, self.gain).relu_(), self.mix)


class Same(nn.Module):
    """The embedding itself, for each layer of a teacher of the student's size."""

    def __init__(self, n_layers: int) -> None:
        super().__init__()
        self.n_layers = n_layers

    def forward(self, embedding: Tensor) -> Tensor:
        """Embedding (batch, dim) to (layers, batch, dim)."""
        return embedding.expand(self.n_layers, -1, -1)


class Projectors(nn.Module):
    """One projector a (teacher, layer).

    Args:
        student_dim: size of the student's embedding.
        layers: the aligned layers of each teacher.
        dims: size of each teacher's hidden states.
    """

    def __init__(self, student_dim: int, layers: Mapping[str, tuple[int, ...]], dims: Mapping[str, int]) -> None:
        super().__init__()
        self.of = nn.ModuleDict(
            {
                teacher: Same(len(which))
                if dims[teacher] == student_dim
                else StackedProjector(student_dim, dims[teacher], len(which))
                for teacher, which in layers.items()
            }
        )

    def forward(self, embedding: Tensor) -> dict[str, Tensor]:
        """Embedding (batch, student_dim) to each teacher's (layers, batch, dim)."""
        return {teacher: stacked(embedding) for teacher, stacked in self.of.items()}
