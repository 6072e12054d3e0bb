"""The corpus: what every trial reads and none computes, memory-mapped, one copy a node.

On disk, under ``<home>/corpora/<fingerprint>/``, with n clips, K views (1 for val and test),
L layers and d dimensions a teacher::

    corpus.json                    what it was made of; written last, so its presence means whole
    <split>/mel.npy                (n, K, 64, 151) float16, log-mel
    <split>/hidden.<teacher>.npy   (n, K, L, d) float16, hidden states averaged over time
    <split>/labels.npy, hard.npy   (n,) int64, (n,) bool
    <split>/logits.<head>.npy      (n, K, classes) float32, one file a fitted head

Hidden states do not depend on the head, so another head costs no teacher pass.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from trainables.audio.entries import SPLITS

MANIFEST = "corpus.json"


@dataclass(frozen=True)
class TeacherStates:
    """One teacher's hidden states in a corpus.

    n_layers: layers stored. dim: their size. rms: root mean square over the training
    clips, all layers and views, by which states are divided.
    """

    n_layers: int
    dim: int
    rms: float


@dataclass(frozen=True)
class Split:
    """One split's arrays; shapes in the module's docstring.

    ``hidden`` maps a teacher to its array, ``rms`` to the number its states are divided by.
    """

    mel: np.ndarray
    logits: np.ndarray
    hidden: Mapping[str, np.ndarray]
    labels: np.ndarray
    hard: np.ndarray
    rms: Mapping[str, float]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def n_views(self) -> int:
        return self.mel.shape[1]


@dataclass(frozen=True)
class Corpus:
    """All splits, and what is known of the teachers whose answers they hold."""

    splits: Mapping[str, Split]
    teachers: Mapping[str, TeacherStates]

    @classmethod
    def open(cls, folder: Path, head: str) -> Self:
        """Memory-map a finished corpus with the logits of ``head``, a head's fingerprint.

        Raises:
            FileNotFoundError: the corpus was never finished, or holds no logits of that head.
        """
        teachers = read_teachers(folder)
        rms = {name: states.rms for name, states in teachers.items()}
        return cls({split: _open_split(folder / split, head, rms) for split in SPLITS}, teachers)

    def layers_of(self, aligned: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """The aligned layers that each teacher has; a teacher with none of them is left out.

        Raises:
            ValueError: a layer that no teacher has.
        """
        check_layers(aligned, {name: states.n_layers for name, states in self.teachers.items()})
        having = {
            name: tuple(layer for layer in aligned if layer < states.n_layers) for name, states in self.teachers.items()
        }
        return {name: layers for name, layers in having.items() if layers}


def check_layers(aligned: tuple[int, ...], n_layers: Mapping[str, int]) -> None:
    """Refuse layers that no teacher has.

    Raises:
        ValueError: names the layers and what the teachers have.
    """
    missing = [layer for layer in aligned if layer >= max(n_layers.values())]
    if missing:
        known = ", ".join(f"{name} has layers 0 to {count - 1}" for name, count in n_layers.items())
        raise ValueError(f"distillation.alignment_layers names {missing}, but {known}; choose among those")


def read_teachers(folder: Path) -> dict[str, TeacherStates]:
    """The teachers of a finished corpus, by name."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return {name: TeacherStates(**states) for name, states in manifest["teachers"].items()}


def n_of_each_label(split: Path) -> dict[str, int]:
    """Clips of one split's folder: ``positive``, ``negative``, and apart from these ``hard_negative``."""
    labels, hard = np.load(split / "labels.npy"), np.load(split / "hard.npy")
    positive = labels == 1
    counted = {"positive": positive, "negative": ~positive & ~hard, "hard_negative": ~positive & hard}
    return {label: int(clips.sum()) for label, clips in counted.items()}


def _open_split(folder: Path, head: str, rms: Mapping[str, float]) -> Split:
    def mapped(name: str) -> np.ndarray:
        # Copy on write, for torch has no read-only tensors: no write reaches the file.
        return np.load(folder / f"{name}.npy", mmap_mode="c")

    return Split(
        mel=mapped("mel"),
        logits=mapped(f"logits.{head}"),
        hidden={teacher: mapped(f"hidden.{teacher}") for teacher in rms},
        labels=np.load(folder / "labels.npy"),
        hard=np.load(folder / "hard.npy"),
        rms=rms,
    )
