"""A corpus of random numbers, in the format that trials read: what a step costs does not hang on what it learns."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from trainables.audio.entries import SPLITS
from trainables.audio.frontend import N_FRAMES, N_MELS
from trainables.corpus.store import MANIFEST

HEAD = "random"


def write_random_corpus(
    folder: Path, n_clips: Mapping[str, int], teachers: Mapping[str, tuple[int, int]], n_views: int = 4
) -> Path:
    """Write array files as ``trainables/corpus/store.py`` lays them out, and return their folder.

    Args:
        n_clips: of each split.
        teachers: name to (layers, dim).
        n_views: of a training clip.
    """
    rng = np.random.default_rng(0)
    for split in SPLITS:
        (folder / split).mkdir(parents=True)
        n, k = n_clips[split], n_views if split == "train" else 1
        labels = (np.arange(n) % 3 == 0).astype(np.int64)
        arrays = {"mel": rng.standard_normal((n, k, N_MELS, N_FRAMES), np.float32).astype(np.float16)}
        arrays |= {"labels": labels, "hard": np.zeros(n, bool)}
        arrays[f"logits.{HEAD}"] = rng.standard_normal((n, k, 2), np.float32)
        for name, (n_layers, dim) in teachers.items():
            arrays[f"hidden.{name}"] = rng.standard_normal((n, k, n_layers, dim), np.float32).astype(np.float16)
        for name, array in arrays.items():
            np.save(folder / split / f"{name}.npy", array)
    described = {name: {"n_layers": layers, "dim": dim, "rms": 1.0} for name, (layers, dim) in teachers.items()}
    (folder / MANIFEST).write_text(json.dumps({"teachers": described}), encoding="utf-8")
    return folder
