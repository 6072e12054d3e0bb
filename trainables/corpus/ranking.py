"""Which teacher layers tell the wake word: a linear probe of each, on a corpus, kept beside it."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydantic
import torch

from trainables.teachers.base import Pooled, Teacher
from trainables.teachers.probe import LayerRow, probe_layers

MOST_CLIPS = 2000  # a split: a ranking needs no more, and 13 layers of so many take seconds
PROBE_VERSION = 1  # raise it when `probe_layers` gives other numbers for the same states
ROWS = pydantic.TypeAdapter(list[LayerRow])


def probes_on_corpus(teacher: Teacher, corpus: Path) -> list[LayerRow]:
    """A probe of every layer on clean clips of train and val; the test clips stay unread."""
    kept = corpus / f"probes.v{PROBE_VERSION}.json"
    if not kept.exists():
        rows = probe_layers(teacher, {split: clean(corpus / split, teacher) for split in ("train", "val")})
        temporary = kept.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_bytes(ROWS.dump_json(rows, indent=2))
        temporary.rename(kept)
    return ROWS.validate_json(kept.read_bytes())


def clean(split: Path, teacher: Teacher) -> Pooled:
    """The hidden states of a split's clean views, a row a clip; of a large split, clips evenly from end to end."""
    labels = np.load(split / "labels.npy")
    chosen = np.unique(np.linspace(0, len(labels) - 1, MOST_CLIPS).round().astype(int))
    states = {name: np.load(split / f"hidden.{name}.npy", mmap_mode="r")[chosen, 0] for name in teacher.members}
    rows = {name: torch.from_numpy(values) for name, values in states.items()}
    return Pooled(rows, torch.from_numpy(labels[chosen]))


def layer_scores(rows: Sequence[LayerRow]) -> dict[int, float]:
    """What a probe of each layer reads, as validation pAUC, the most telling layer first.

    Of two teachers the mean, for a layer's index is one for both. Equals stand in the order of their AUC, then
    of their index.
    """

    def mean(layer: int, metric: str) -> float:
        return float(np.mean([row.splits["val"][metric] for row in rows if row.layer == layer]))

    layers = sorted({row.layer for row in rows})
    ranked = sorted(layers, key=lambda layer: (-mean(layer, "pauc"), -mean(layer, "auc"), layer))
    return {layer: mean(layer, "pauc") for layer in ranked}
