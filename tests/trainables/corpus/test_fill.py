"""What the encoders take at once: fixed batches on a CPU, whatever waits on CUDA."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.trainables.recipes import recipe_of, write_clips
from trainables.corpus import fill
from trainables.corpus.fill import Loaded, Piece, _batches
from trainables.corpus.recipe import Recipe
from trainables.corpus.shards import CLIPS_PER_SHARD, Shard, cut


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Recipe:
    return recipe_of(write_clips(tmp_path_factory.mktemp("recordings")))


@pytest.fixture
def on_cuda(recipe) -> Recipe:
    """The recipe with a teacher that says that it is on a GPU; it is never run."""
    return Recipe(recipe.clips, recipe.views, {"wav2vec2": SimpleNamespace(device=torch.device("cuda"))})


def taken(batches) -> list[list[Piece]]:
    return [[loaded.piece for loaded in batch] for batch in batches]


def test_on_a_cpu_batches_are_the_same_clips_each_time_and_end_with_their_shard(recipe, monkeypatch):
    monkeypatch.setattr(fill, "CLIPS_PER_BATCH", 4)
    train, val = Shard("train", 0, 6), Shard("val", 0, 4)
    for _ in range(3):
        assert taken(_batches(recipe, [train, val])) == [
            [Piece(train, 0, 4)], [Piece(train, 4, 6)], [Piece(val, 0, 4)],
        ]  # fmt: skip


@pytest.fixture
def gate(monkeypatch) -> Iterator[SimpleNamespace]:
    """Loading at will: pieces from ``until`` on wait for ``opened``."""
    gate = SimpleNamespace(until=0, opened=threading.Event(), n_loaded=threading.Semaphore(0))

    class Gated(fill._Loader):
        def __call__(self, piece: Piece) -> Loaded:
            if piece.start >= gate.until:
                gate.opened.wait()
            gate.n_loaded.release()
            return Loaded(piece, np.zeros(0), np.zeros(0))

    monkeypatch.setattr(fill, "_Loader", Gated)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(fill, "CLIPS_PER_PIECE", 1)
    yield gate
    gate.opened.set()


def test_on_cuda_a_batch_is_what_waits_without_waiting_for_more(on_cuda, gate):
    gate.until = 3
    batches = _batches(on_cuda, [Shard("train", 0, 6)])
    first = next(batches)  # the others are held back, so that waiting for them would never end
    starts = [loaded.piece.start for loaded in first]
    assert starts == list(range(len(starts))) and 1 <= len(starts) <= 3
    gate.opened.set()
    rest = [loaded.piece.start for batch in batches for loaded in batch]
    assert starts + rest == list(range(6))


def test_on_cuda_a_batch_takes_no_more_than_its_cap_and_runs_on_over_shards(on_cuda, gate, monkeypatch):
    monkeypatch.setattr(fill, "WAVEFORMS_AT_MOST", 6)  # three clips in two views
    gate.until = 6
    batches = _batches(on_cuda, [Shard("train", 0, 2), Shard("train", 2, 6)])
    taken = [next(batches)]
    for _ in range(6):  # by now all wait in the queue
        assert gate.n_loaded.acquire(timeout=30)
    taken += batches
    assert max(map(len, taken)) <= 3
    assert [loaded.piece.start for batch in taken for loaded in batch] == list(range(6))


def test_shards_cover_every_clip_once(recipe):
    shards = cut({"train": 130, "val": 64, "test": 1})
    assert [(shard.split, shard.start, shard.stop) for shard in shards] == [
        ("train", 0, 64), ("train", 64, 128), ("train", 128, 130), ("val", 0, 64), ("test", 0, 1),
    ]  # fmt: skip
    # Else a shard's size would decide what a batch is, and so how a CPU rounds.
    assert CLIPS_PER_SHARD % fill.CLIPS_PER_BATCH == 0
