"""The teacher pass in one process: clips are loaded ahead of the encoders, and shards written behind them.

Decoding, views and log-mels are made on a thread a core, which numpy, soxr and torch let run beside the encoders;
rows are written by a thread of their own. So nearly all the time goes to the encoders' forward passes.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainables.audio.frontend import LogMel
from trainables.corpus.recipe import Recipe
from trainables.corpus.shards import Shard, write_shard
from trainables.teachers.base import Encoder

CLIPS_PER_BATCH = 16  # on a CPU; divides a shard
CLIPS_PER_PIECE = 4  # on CUDA
WAVEFORMS_AT_MOST = 256  # in a batch on CUDA; Wav2Vec2-base takes about 3 GB for them in half precision
WRITES_AHEAD = 2
WriteShard = Callable[[Path, Shard, Mapping[str, np.ndarray]], None]
"""Takes the rows of a shard, in a corpus' folder."""


class Piece(NamedTuple):
    """Some clips of a shard, ``start`` to ``stop`` of its split."""

    shard: Shard
    start: int
    stop: int


class Loaded(NamedTuple):
    """A piece in all views: waveforms (clips * K, 24000) float32, mel (clips * K, 64, 151) float16."""

    piece: Piece
    waveforms: np.ndarray
    mel: np.ndarray


def fill_here(
    recipe: Recipe,
    folder: Path,
    shards: Sequence[Shard],
    on_shard: Callable[[Shard], None],
    write: WriteShard = write_shard,
) -> None:
    """Compute shards and write them into ``folder``.

    Args:
        on_shard: told of each shard that is written and marked.
        write: takes the rows of a shard; by default into the folder's arrays.

    Raises:
        InputError: a clip is no longer what was checked.
        FloatingPointError: a teacher's states do not fit half precision.
    """
    writer = _Writer(recipe, partial(write, folder))
    writing: deque[Future[list[Shard]]] = deque()

    def wait_until(n_left: int) -> None:
        while len(writing) > n_left:
            for shard in writing.popleft().result():
                on_shard(shard)

    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            for batch in _batches(recipe, shards):
                states = _encode(recipe.encoders, np.concatenate([loaded.waveforms for loaded in batch]))
                writing.append(pool.submit(writer.take, batch, states))
                wait_until(WRITES_AHEAD)
            wait_until(0)
        finally:
            pool.shutdown(cancel_futures=True)


def _batches(recipe: Recipe, shards: Sequence[Shard]) -> Iterator[list[Loaded]]:
    """What the encoders take at once, in the order of the shards.

    On a CPU a batch is the same clips each time: a batch of another size rounds otherwise, and a corpus built again is
    to be the same bytes. On CUDA, which rounds otherwise by itself, it is what waits in the queue, up to a cap: never
    a wait for a full batch, and large ones when loading is fast.
    """
    on_cuda = any(encoder.device.type == "cuda" for encoder in recipe.encoders.values())
    size = CLIPS_PER_PIECE if on_cuda else CLIPS_PER_BATCH
    pieces = (
        Piece(shard, start, min(start + size, shard.stop))
        for shard in shards
        for start in range(shard.start, shard.stop, size)
    )
    per_batch = max(1, WAVEFORMS_AT_MOST // (size * recipe.n_views("train"))) if on_cuda else 1
    n_threads = torch.get_num_threads()  # of Ray's workers on one machine, each has its share of cores
    load = _Loader(recipe)
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            queue = deque(pool.submit(load, piece) for piece in islice(pieces, n_threads + 2 * per_batch))
            while queue:
                batch = [queue.popleft().result()]
                while queue and len(batch) < per_batch and queue[0].done():
                    batch.append(queue.popleft().result())
                queue.extend(pool.submit(load, piece) for piece in islice(pieces, len(batch)))
                yield batch
        finally:
            pool.shutdown(cancel_futures=True)


class _Loader:
    """Decodes a piece and makes its views and their log-mels."""

    def __init__(self, recipe: Recipe) -> None:
        self.views, self.n_views = recipe.views, recipe.n_views
        self.clips = {split: recipe.clips.of(split) for split in recipe.n_clips}
        self.log_mel = LogMel()

    def __call__(self, piece: Piece) -> Loaded:
        rows = []
        for clip in self.clips[piece.shard.split][piece.start : piece.stop]:
            samples = clip.samples()
            rows += [self.views.view(samples, clip.content_hash, k) for k in range(self.n_views(piece.shard.split))]
        waveforms = np.stack(rows)
        with torch.inference_mode():
            mel = self.log_mel(torch.from_numpy(waveforms)).squeeze(1).half().numpy()
        return Loaded(piece, waveforms, mel)


def _encode(encoders: Mapping[str, Encoder], waveforms: np.ndarray) -> dict[str, Tensor]:
    """(n, 24000) through each encoder: (n, layers, dim) float16, where the encoder is.

    On CUDA the work is only begun, so that the next batch is put together meanwhile.
    """
    waveform = torch.from_numpy(waveforms)
    return {name: encoder.launch(waveform).half() for name, encoder in encoders.items()}


class _Writer:
    """Puts batches together to shards, and writes each as its last row arrives; used by one thread."""

    def __init__(self, recipe: Recipe, write: Callable[[Shard, Mapping[str, np.ndarray]], None]) -> None:
        self.recipe, self.write = recipe, write
        self.pieces: list[dict[str, np.ndarray]] = []  # of the shard under way

    def take(self, batch: list[Loaded], states: dict[str, Tensor]) -> list[Shard]:
        """Write what a batch completes; the shards that are done with it."""
        hidden = {f"hidden.{name}": values.cpu().numpy() for name, values in states.items()}
        for name, values in hidden.items():
            if not np.isfinite(values).all():
                raise FloatingPointError(
                    f"{name} holds values that are not finite in half precision; "
                    "set teacher.precision to float32, or check the teacher"
                )
        done, start = [], 0
        for piece, _, mel in batch:
            rows = {"mel": mel} | {name: values[start : start + len(mel)] for name, values in hidden.items()}
            start += len(mel)
            n_views = self.recipe.n_views(piece.shard.split)
            self.pieces.append({name: values.reshape(-1, n_views, *values.shape[1:]) for name, values in rows.items()})
            if piece.stop == piece.shard.stop:
                whole = {name: np.concatenate([each[name] for each in self.pieces]) for name in rows}
                self.pieces.clear()
                self.write(piece.shard, whole)
                done.append(piece.shard)
        return done
