"""A corpus small enough to train on in milliseconds: the wake word is a faint band of the log-mel."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainables.corpus.store import Corpus

HEAD = "head"
SIZES = {"train": 11, "val": 8, "test": 8}
N_VIEWS = {"train": 3, "val": 1, "test": 1}
ONE_TEACHER = {"wav2vec2": {"n_layers": 5, "dim": 6, "rms": 2.0}}
TWO_TEACHERS = {**ONE_TEACHER, "conformer": {"n_layers": 3, "dim": 64, "rms": 0.5}}


def write_corpus(folder: Path, teachers: dict[str, dict[str, Any]] = ONE_TEACHER) -> Path:
    """Array files as ``trainables/corpus/store.py`` lays them out; every third clip is the wake word."""
    rng = np.random.default_rng(0)
    for split, n in SIZES.items():
        (folder / split).mkdir(parents=True)
        labels = (np.arange(n) % 3 == 0).astype(np.int64)
        mel = rng.normal(size=(n, N_VIEWS[split], 64, 48)).astype(np.float16)
        mel[labels == 1, :, 10:30] += 0.3  # so faint that it takes a student some epochs
        logits = rng.normal(size=(n, N_VIEWS[split], 2)).astype(np.float32)
        logits[..., -1] += 4 * labels[:, None] - 2
        arrays = {"mel": mel, "labels": labels, "hard": np.arange(n) % 4 == 1, f"logits.{HEAD}": logits}
        for name, states in teachers.items():
            shape = (n, N_VIEWS[split], states["n_layers"], states["dim"])
            arrays[f"hidden.{name}"] = (states["rms"] * rng.normal(size=shape)).astype(np.float16)
        for name, array in arrays.items():
            np.save(folder / split / f"{name}.npy", array)
    (folder / "corpus.json").write_text(json.dumps({"teachers": teachers}))
    return folder


@pytest.fixture(scope="session")
def head() -> str:
    """Fingerprint of the head whose logits the corpus holds."""
    return HEAD


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "one")


@pytest.fixture(scope="session")
def corpus(corpus_folder: Path) -> Corpus:
    return Corpus.open(corpus_folder, HEAD)


@pytest.fixture(scope="session")
def dual_corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus.open(write_corpus(tmp_path_factory.mktemp("corpus") / "two", TWO_TEACHERS), HEAD)
