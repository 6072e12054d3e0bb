"""Building a corpus: each view of each clip passes the front-end and the teachers once, ever.

The arrays are laid out whole in ``<fingerprint>.partial`` and filled shard by shard (`shards`); when no
shard is missing, the folder takes its final name, in one step. So an interrupted build goes on where it stopped,
and a half-written one has a name that nobody opens.
"""

import json
import math
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.lib.format import open_memmap

from spaces.errors import Fault, InputError
from trainables.audio.entries import SPLITS, Split
from trainables.audio.frontend import N_FRAMES, N_MELS
from trainables.audio.scan import Progress
from trainables.corpus.fill import fill_here
from trainables.corpus.recipe import VERSION, Recipe
from trainables.corpus.shards import MARKERS, Shard, cut, missing
from trainables.corpus.store import MANIFEST
from trainables.teachers.head import N_CLASSES

Fill = Callable[[Recipe, Path, Sequence[Shard], Callable[[Shard], None]], None]
"""Computes shards into a folder, telling of each that is done; `fill.fill_here` is one."""


def build_corpus(
    recipe: Recipe, corpora: Path, progress: Progress = lambda done, of: None, fill: Fill = fill_here
) -> Path:
    """The corpus of ``recipe`` under ``corpora``, built where it is missing.

    Args:
        progress: told of clips done and clips in all.
        fill: who computes the shards; by default this process.

    Returns:
        Its folder; `logits.write_logits` adds a head's logits.

    Raises:
        InputError: the disk has no room for it, or a clip is no longer what was checked.
    """
    fingerprint = recipe.fingerprint
    folder = corpora / fingerprint
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            _refuse_a_full_disk(recipe, partial)
            (partial / MARKERS).mkdir(parents=True, exist_ok=True)
            for split in SPLITS:
                _allocate(recipe, split, partial / split)
            _fill(recipe, partial, progress, fill)
            _finish(recipe, fingerprint, partial)
            partial.rename(folder)
        # Only now: a kill before the rename must not lose what is done.
        shutil.rmtree(folder / MARKERS, ignore_errors=True)
    return folder


def _shapes(recipe: Recipe, split: Split) -> dict[str, tuple[tuple[int, ...], type]]:
    n, k = recipe.n_clips[split], recipe.n_views(split)
    hidden = {
        f"hidden.{name}": ((n, k, encoder.n_layers, encoder.dim), np.float16)
        for name, encoder in recipe.encoders.items()
    }
    return {"mel": ((n, k, N_MELS, N_FRAMES), np.float16), **hidden}


def _refuse_a_full_disk(recipe: Recipe, partial: Path) -> None:
    """Before anything is allocated, so that a refused build leaves the disk as it was."""
    n_bytes = 0
    for split in SPLITS:
        arrays = _shapes(recipe, split)
        lacking = {name: arrays[name] for name in arrays if not (partial / split / f"{name}.npy").exists()}
        if lacking:
            # A head's logits follow when the arrays are whole.
            lacking["logits"] = ((recipe.n_clips[split], recipe.n_views(split), N_CLASSES), np.float32)
        n_bytes += sum(math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in lacking.values())
    free = shutil.disk_usage(partial.parent).free
    if n_bytes > free:
        remedy = f"the corpus needs {n_bytes / 1e9:.3g} GB more and {free / 1e9:.3g} GB are free; free some, " \
                 "set DISTUNE_HOME to another disk, or lower data.views.count"  # fmt: skip
        raise InputError(Fault(str(partial.parent), "", None, remedy))


def _allocate(recipe: Recipe, split: Split, folder: Path) -> None:
    """Claim the room at once: a disk that fills up later would end the build hours into it."""
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


def _fill(recipe: Recipe, partial: Path, progress: Progress, fill: Fill) -> None:
    """Have all missing shards computed, and hear of each."""
    shards = cut(recipe.n_clips)
    total, left = len(recipe.clips), missing(partial, shards)
    done = total - sum(map(len, left))

    def on_shard(shard: Shard) -> None:
        nonlocal done
        done += len(shard)
        progress(done, total)

    fill(recipe, partial, left, on_shard)
    if still := missing(partial, shards):
        raise RuntimeError(f"{len(still)} shards of {partial} were left out, {still[0].marker} first; start again")


def _finish(recipe: Recipe, fingerprint: str, partial: Path) -> None:
    teachers = {}
    for name, encoder in recipe.encoders.items():
        states = np.load(partial / "train" / f"hidden.{name}.npy", mmap_mode="r")
        rms = _root_mean_square(states)
        teachers[name] = {"n_layers": encoder.n_layers, "dim": encoder.dim, "rms": rms}
    manifest = {
        "version": VERSION,
        "fingerprint": fingerprint,
        "teachers": teachers,
        "n_clips": recipe.n_clips,
        "n_views": {split: recipe.n_views(split) for split in SPLITS},
    }
    temporary = partial / f"{MANIFEST}.tmp"
    temporary.write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    temporary.replace(partial / MANIFEST)


def _root_mean_square(states: np.ndarray, rows: int = 1024) -> float:
    squares = [np.square(states[i : i + rows], dtype=np.float64).sum() for i in range(0, len(states), rows)]
    return math.sqrt(sum(squares) / states.size)
