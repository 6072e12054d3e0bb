"""What a student is, and the registry of students."""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

from spaces.errors import Fault, InputError
from spaces.trial import Model

STUDENTS: dict[str, type["Student"]] = {}
"""Students by name, each registered as its module is imported, which is when it is first built."""

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


def student_names() -> list[str]:
    """Every student there is: the modules of this package, imported or not, and what was registered elsewhere."""
    modules = {module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])}
    return sorted(modules - {"base"} | set(STUDENTS))


def build_student(model: Model) -> Student:
    """The student that a trial names, with fresh weights from torch's global generator.

    Raises:
        InputError: no such student.
    """
    name = model.architecture
    if name not in STUDENTS:
        if name not in student_names():
            remedy = f"is not a student; choose one of {student_names()} or add trainables/students/{name}.py"
            raise InputError(Fault("trial", "model.architecture", name, remedy))
        # Only now, for a worker that trains tiny_conv need not wait for torchvision.
        importlib.import_module(f"trainables.students.{name}")
    return STUDENTS[name](model)
