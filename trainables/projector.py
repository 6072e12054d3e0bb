"""How a student's embedding is brought to a teacher's size; thrown away after training."""

from collections.abc import Mapping

from torch import Tensor, nn


def projector(student_dim: int, teacher_dim: int) -> nn.Module:
    """Embedding (batch, student_dim) to (batch, teacher_dim); the identity where both agree."""
    if student_dim == teacher_dim:
        return nn.Identity()
    return nn.Sequential(
        nn.Linear(student_dim, teacher_dim),
        nn.LayerNorm(teacher_dim),
        nn.ReLU(inplace=True),
        nn.Linear(teacher_dim, teacher_dim),
    )


class Projectors(nn.Module):
    """One projector a (teacher, layer).

    Args:
        student_dim: size of the student's embedding.
        layers: the aligned layers of each teacher.
        dims: size of each teacher's hidden states.
    """

    def __init__(self, student_dim: int, layers: Mapping[str, tuple[int, ...]], dims: Mapping[str, int]) -> None:
        super().__init__()
        self.n_layers = {teacher: len(which) for teacher, which in layers.items()}
        pairs = [(teacher, i) for teacher, n in self.n_layers.items() for i in range(n)]
        self.of = nn.ModuleDict({f"{teacher}_{i}": projector(student_dim, dims[teacher]) for teacher, i in pairs})

    def forward(self, embedding: Tensor) -> dict[str, list[Tensor]]:
        """Embedding (batch, student_dim) to each teacher's list, a layer each, of (batch, dim)."""
        return {
            teacher: [self.of[f"{teacher}_{i}"](embedding) for i in range(n)] for teacher, n in self.n_layers.items()
        }
