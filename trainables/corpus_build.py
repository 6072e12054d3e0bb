"""Building a corpus: each view of each clip passes the front-end and the teachers once, ever.

The arrays grow in ``<fingerprint>.partial`` beside a note of how many clips are done; when all are,
the folder takes its final name, in one step. So an interrupted build goes on where it stopped, and a
half-written one has a name that nobody opens.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from numpy.lib.format import open_memmap

from spaces.errors import Fault, InputError
from trainables.audio.check import LoadedClips, stream
from trainables.audio.entries import SPLITS, Split
from trainables.audio.frontend import N_FRAMES, N_MELS, LogMel
from trainables.audio.views import ViewMaker
from trainables.corpus import MANIFEST
from trainables.teachers.base import Encoder

VERSION = 1  # raise it when the same clips would give other arrays
CLIPS_PER_SHARD = 16
PROGRESS = "progress.json"
Progress = Callable[[int, int], None]  # clips done, clips in all


@dataclass(frozen=True)
class Recipe:
    """What a corpus is made of, and so what its fingerprint covers."""

    clips: LoadedClips
    views: ViewMaker
    encoders: Mapping[str, Encoder]

    @property
    def fingerprint(self) -> str:
        """16 hex digits over teachers, front-end, views, and each clip's content, label and split."""
        digest = hashlib.sha256(f"{VERSION} {self.views.fingerprint}".encode())
        for name, encoder in sorted(self.encoders.items()):
            digest.update(f"{name} {encoder.fingerprint}".encode())
        for split in SPLITS:
            for clip in self.clips.of(split):
                digest.update(f"{split} {clip.content_hash} {clip.clip.label} {clip.clip.hard}".encode())
        return digest.hexdigest()[:16]

    def n_views(self, split: Split) -> int:
        """Only training clips are augmented; the others are judged as they are."""
        return self.views.views.count if split == "train" else 1


def build_corpus(recipe: Recipe, corpora: Path, progress: Progress = lambda done, of: None) -> Path:
    """The corpus of ``recipe`` under ``corpora``, built where it is missing.

    Args:
        progress: told of clips done and clips in all.

    Returns:
        Its folder; `corpus_logits.write_logits` adds a head's logits.

    Raises:
        InputError: the disk has no room for it.
    """
    folder = corpora / recipe.fingerprint
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            _refuse_a_full_disk(recipe, partial)
            partial.mkdir(exist_ok=True)
            for split in SPLITS:
                _allocate(recipe, split, partial / split)
            _fill(recipe, partial, progress)
            _finish(recipe, partial)
            partial.rename(folder)
    return folder


def _shapes(recipe: Recipe, split: Split) -> dict[str, tuple[tuple[int, ...], type]]:
    n, k = len(recipe.clips.of(split)), recipe.n_views(split)
    hidden = {
        f"hidden.{name}": ((n, k, encoder.n_layers, encoder.dim), np.float16)
        for name, encoder in recipe.encoders.items()
    }
    return {"mel": ((n, k, N_MELS, N_FRAMES), np.float16), **hidden}


def _refuse_a_full_disk(recipe: Recipe, partial: Path) -> None:
    """Before anything is allocated, so that a refused build leaves the disk as it was."""
    n_bytes = sum(
        math.prod(shape) * np.dtype(dtype).itemsize
        for split in SPLITS
        for name, (shape, dtype) in _shapes(recipe, split).items()
        if not (partial / split / f"{name}.npy").exists()
    )
    free = shutil.disk_usage(partial.parent).free
    if n_bytes > free:
        remedy = f"the corpus needs {n_bytes / 1e9:.3g} GB more and {free / 1e9:.3g} GB are free; free some, " \
                 "set DISTUNE_HOME to another disk, or lower data.views.count"  # fmt: skip
        raise InputError(Fault(str(partial.parent), "", None, remedy))


def _allocate(recipe: Recipe, split: Split, folder: Path) -> None:
    """Claim the room at once: a memory map that meets a full disk kills the process."""
    folder.mkdir(exist_ok=True)
    for name, (shape, dtype) in _shapes(recipe, split).items():
        path = folder / f"{name}.npy"
        if path.exists():
            continue
        temporary = path.with_suffix(".tmp")
        open_memmap(temporary, mode="w+", dtype=dtype, shape=shape).flush()
        with open(temporary, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.path.getsize(temporary))
        temporary.rename(path)
    clips = recipe.clips.of(split)
    np.save(folder / "labels.npy", np.array([clip.clip.label for clip in clips], np.int64))
    np.save(folder / "hard.npy", np.array([clip.clip.hard for clip in clips], np.bool_))


def _fill(recipe: Recipe, partial: Path, progress: Progress) -> None:
    note = partial / PROGRESS
    done: dict[str, int] = json.loads(note.read_text()) if note.exists() else dict.fromkeys(SPLITS, 0)
    total = sum(len(recipe.clips.of(split)) for split in SPLITS)
    log_mel = LogMel()
    for split in SPLITS:
        arrays = {name: np.load(partial / split / f"{name}.npy", mmap_mode="r+") for name in _shapes(recipe, split)}
        for start, audio in _shards(recipe, split, done[split]):
            stop = start + len(audio)
            for name, values in _states(audio, log_mel, recipe.encoders).items():
                arrays[name][start:stop] = values
                arrays[name].flush()
            done[split] = stop
            _write_atomically(note, json.dumps(done))
            progress(sum(done.values()), total)


def _shards(recipe: Recipe, split: Split, first: int) -> Iterator[tuple[int, np.ndarray]]:
    """From clip ``first`` on: where a shard starts, and its views (clips, K, 24000)."""
    clips = recipe.clips.of(split)[first:]
    views = (
        np.stack([recipe.views.view(samples, clip.content_hash, k) for k in range(recipe.n_views(split))])
        for clip, samples in zip(clips, stream(clips), strict=True)
    )
    start = first
    while shard := list(islice(views, CLIPS_PER_SHARD)):
        yield start, np.stack(shard)
        start += len(shard)


@torch.inference_mode()
def _states(audio: np.ndarray, log_mel: LogMel, encoders: Mapping[str, Encoder]) -> dict[str, np.ndarray]:
    """What is stored of views (clips, K, 24000)."""
    waveform = torch.from_numpy(audio).flatten(0, 1)
    states = {"mel": log_mel(waveform).squeeze(1)}
    states |= {f"hidden.{name}": encoder.encode(waveform) for name, encoder in encoders.items()}
    stored = {name: values.to(torch.float16).unflatten(0, audio.shape[:2]).numpy() for name, values in states.items()}
    for name, values in stored.items():
        if not np.isfinite(values).all():
            raise FloatingPointError(f"{name} holds values that are not finite in half precision; check the teacher")
    return stored


def _finish(recipe: Recipe, partial: Path) -> None:
    teachers = {}
    for name, encoder in recipe.encoders.items():
        states = np.load(partial / "train" / f"hidden.{name}.npy", mmap_mode="r")
        rms = _root_mean_square(states)
        teachers[name] = {"n_layers": encoder.n_layers, "dim": encoder.dim, "rms": rms}
    manifest = {
        "version": VERSION,
        "fingerprint": recipe.fingerprint,
        "teachers": teachers,
        "n_clips": {split: len(recipe.clips.of(split)) for split in SPLITS},
        "n_views": {split: recipe.n_views(split) for split in SPLITS},
    }
    (partial / PROGRESS).unlink()
    _write_atomically(partial / MANIFEST, json.dumps(manifest, indent=2))


def _root_mean_square(states: np.ndarray, rows: int = 1024) -> float:
    squares = [np.square(states[i : i + rows], dtype=np.float64).sum() for i in range(0, len(states), rows)]
    return math.sqrt(sum(squares) / states.size)


def _write_atomically(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
