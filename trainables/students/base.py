"""What a student is, and the registry of students."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from torch import Tensor, nn

from spaces.errors import Fault, InputError
from spaces.trial import Model

STUDENTS: dict[str, type["Student"]] = {}
"""Students by name, filled by importing ``trainables.students``."""

S = TypeVar("S", bound="type[Student]")


class Student(nn.Module, ABC):
    """A small network that spots the wake word in a log-mel.

    A subclass takes a ``spaces.trial.Model`` and sets ``embed_dim`` to the size of its embedding.
    """

    embed_dim: int

    def __init__(self, model: Model) -> None:
        super().__init__()

    @abstractmethod
    def embed(self, mel: Tensor) -> Tensor:
        """Log-mel (batch, 1, mels, frames) to a pooled embedding (batch, embed_dim)."""

    @abstractmethod
    def classify(self, embedding: Tensor) -> Tensor:
        """Embedding (batch, embed_dim) to logits (batch, classes)."""

    def forward(self, mel: Tensor) -> Tensor:
        """Log-mel (batch, 1, mels, frames) to logits (batch, classes)."""
        return self.classify(self.embed(mel))


def register_student(name: str) -> Callable[[S], S]:
    """Class decorator: make a student known as ``name``, its ``model.architecture`` in a trial.

    Raises:
        ValueError: the name is taken.
    """

    def register(student: S) -> S:
        if name in STUDENTS:
            raise ValueError(f"student {name!r} is already {STUDENTS[name].__qualname__}; choose another name")
        STUDENTS[name] = student
        return student

    return register


def build_student(model: Model) -> Student:
    """The student that a trial names, with fresh weights from torch's global generator.

    Raises:
        InputError: no such student.
    """
    if model.architecture not in STUDENTS:
        remedy = (
            f"is not a student; choose one of {sorted(STUDENTS)} or add trainables/students/{model.architecture}.py"
        )
        raise InputError(Fault("trial", "model.architecture", model.architecture, remedy))
    return STUDENTS[model.architecture](model)
