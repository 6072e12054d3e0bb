"""Shards: the units of work that a corpus is built of, each written whole before it is marked as done.

A shard is a run of clips of one split. Its rows go to a byte range of their own in the preallocated arrays, so
any number of processes, on any node that sees the folder, may write shards at once. Only when the rows are on
disk does the shard's marker appear, in one step; without a marker a shard is computed again, which rewrites the
same bytes. So a kill at any moment costs the shards that were under way, and nothing else.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainables.audio.entries import SPLITS, Split

CLIPS_PER_SHARD = 64
MARKERS = "done"  # the markers' folder in a corpus that is being built


@dataclass(frozen=True)
class Shard:
    """Clips ``start`` to ``stop``, the latter not included, of a split."""

    split: Split
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def marker(self) -> str:
        """Names its clips, so that a folder begun with shards of another size is not misread."""
        return f"{self.split}.{self.start}-{self.stop}"


def cut(n_clips: Mapping[Split, int]) -> list[Shard]:
    """All shards of splits of so many clips."""
    return [
        Shard(split, start, min(start + CLIPS_PER_SHARD, n_clips[split]))
        for split in SPLITS
        for start in range(0, n_clips[split], CLIPS_PER_SHARD)
    ]


def missing(folder: Path, shards: Iterable[Shard]) -> list[Shard]:
    """The shards that are not marked as done in ``folder``."""
    done = set(os.listdir(folder / MARKERS))
    return [shard for shard in shards if shard.marker not in done]


def write_shard(folder: Path, shard: Shard, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the rows of every array, and mark the shard as done once they are on disk.

    Args:
        arrays: name, as in `corpus`, to (clips of the shard, ...).
    """
    for name, rows in arrays.items():
        _write_rows(folder / shard.split / f"{name}.npy", shard, rows)
    # Of this process alone, should another compute the same shard.
    temporary = folder / MARKERS / f".{shard.marker}.{os.uname().nodename}.{os.getpid()}"
    temporary.touch()
    temporary.replace(folder / MARKERS / shard.marker)


def _write_rows(path: Path, shard: Shard, rows: np.ndarray) -> None:
    # Not through a writable map: nodes that share a file over a network would write whole pages of 4 KiB,
    # each with its own idea of a neighbour's bytes.
    whole = np.load(path, mmap_mode="r")
    if (whole[shard.start : shard.stop].shape, whole.dtype) != (rows.shape, rows.dtype):
        raise ValueError(f"{path.name} takes {whole.shape[1:]} {whole.dtype} a clip; got {rows.shape} {rows.dtype}")
    at = whole.offset + shard.start * whole[0].nbytes
    rest = memoryview(rows.tobytes())
    file = os.open(path, os.O_WRONLY)
    try:
        while rest:
            written = os.pwrite(file, rest, at)
            at, rest = at + written, rest[written:]
        os.fsync(file)
    finally:
        os.close(file)
