"""A teacher's head on a corpus: fitted on its hidden states, its logits stored, its quality measured."""

import os
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from spaces.sections import Objective
from trainables.audio.entries import SPLITS
from trainables.corpus.store import Corpus
from trainables.metrics import evaluate
from trainables.teachers.base import Pooled, Teacher
from trainables.teachers.fit import fit_head
from trainables.teachers.head import LinearHead

CLIPS_AT_ONCE = 512
FIT_VERSION = 1  # raise it when `fit_head` gives another head of the same states


def fit_on_corpus(teacher: Teacher, corpus: Path) -> Teacher:
    """The teacher with a head fitted on the training clips in all their views, which the corpus keeps.

    It follows from nothing but the corpus and this code, whose version is in the file's name.
    """
    kept = corpus / f"head.v{FIT_VERSION}.safetensors"
    if not kept.exists():
        fitted = fit_head(teacher, pooled(corpus, "train", teacher), pooled(corpus, "val", teacher))
        weights = {
            f"{name}.{key}": value for name, head in fitted.heads.items() for key, value in head.state_dict().items()
        }
        temporary = kept.with_suffix(f".{os.getpid()}.tmp")
        save_file(weights, temporary)
        temporary.rename(kept)
    weights = load_file(kept)
    heads = {
        name: LinearHead(*(weights[f"{name}.{key}"] for key in ("layer_weights", "weight", "bias")))
        for name in teacher.members
    }
    return Teacher(teacher.members, {name: head.requires_grad_(False) for name, head in heads.items()}, teacher.mixing)


def pooled(corpus: Path, split: str, teacher: Teacher) -> Pooled:
    """The hidden states of one split, a row a view of a clip, in float16 and mapped."""
    states = {name: np.load(corpus / split / f"hidden.{name}.npy", mmap_mode="c") for name in teacher.members}
    n_views = next(iter(states.values())).shape[1]
    rows = {name: torch.from_numpy(values).flatten(0, 1) for name, values in states.items()}
    return Pooled(rows, torch.from_numpy(np.load(corpus / split / "labels.npy").repeat(n_views)))


def write_logits(corpus: Path, teacher: Teacher) -> None:
    """Store the logits of a fitted teacher where they are not yet, each split's in one step."""
    for split in SPLITS:
        target = corpus / split / f"logits.{teacher.head_fingerprint}.npy"
        if not target.exists():
            temporary = target.with_suffix(f".{os.getpid()}.tmp")
            with open(temporary, "wb") as file:
                np.save(file, teacher_logits(corpus / split, teacher))
            temporary.rename(target)


def teacher_logits(split_folder: Path, teacher: Teacher) -> np.ndarray:
    """(n, K, classes) float32 of one split."""
    hidden = {name: np.load(split_folder / f"hidden.{name}.npy", mmap_mode="r") for name in teacher.members}
    n_clips, n_views = next(iter(hidden.values())).shape[:2]
    parts = []
    for start in range(0, n_clips, CLIPS_AT_ONCE):
        states = {
            name: torch.from_numpy(values[start : start + CLIPS_AT_ONCE].astype(np.float32)).flatten(0, 1)
            for name, values in hidden.items()
        }
        parts.append(teacher.classify(states).unflatten(0, (-1, n_views)).numpy())
    return np.concatenate(parts)


def teacher_metrics(corpus: Path, teacher: Teacher, objective: Objective) -> dict[str, dict[str, float]]:
    """Split to the metrics of the teacher's own logits on the clean clips."""
    return {
        split: evaluate(np.array(arrays.logits[:, 0]), arrays.labels, **objective.rates)
        for split, arrays in Corpus.open(corpus, teacher.head_fingerprint).splits.items()
    }
