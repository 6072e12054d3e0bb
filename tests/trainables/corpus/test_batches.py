"""Batches worked out by hand, and epochs, wherever the arrays lie."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from trainables.corpus.batches import Batches
from trainables.corpus.placement import place
from trainables.corpus.store import Corpus, Split

CPU = torch.device("cpu")
N, VIEWS = 5, 3


def split_of(n: int = N, n_views: int = VIEWS) -> Split:
    """Every number tells where it stood: clip 2 in view 1 is 21, its layer 3 is 213."""
    clip, view = np.arange(n).reshape(n, 1), np.arange(n_views)
    spot = 10 * clip + view  # (n, n_views)
    layers = {"wav2vec2": 4, "conformer": 2}
    return Split(
        mel=np.broadcast_to(spot[..., None, None], (n, n_views, 64, 151)).astype(np.float16),
        logits=np.stack([spot, -spot], axis=-1).astype(np.float32),
        hidden={
            name: (10 * spot[..., None, None] + np.arange(count)[:, None] + np.zeros(3)).astype(np.float16)
            for name, count in layers.items()
        },
        labels=np.arange(n, dtype=np.int64) % 2,
        hard=np.arange(n) == 4,
        rms={"wav2vec2": 2.0, "conformer": 0.5},
    )


@pytest.fixture(params=["device", "memory"])
def laid(request):
    """Lays a split of ``n`` clips for a trial that aligns some layers."""

    def lay(layers: dict[str, tuple[int, ...]], n: int = N) -> Batches:
        corpus = Corpus(splits={name: split_of(n) for name in ("train", "val")}, teachers={})
        return place(corpus, layers, request.param, CPU)["train"]

    return lay


def test_a_batch_holds_each_clip_in_its_view_with_the_layers_asked_for(laid):
    batch = laid({"wav2vec2": (1, 3), "conformer": (0,)}).gather(torch.tensor([4, 2]), torch.tensor([0, 1]))
    assert batch.mel.shape == (2, 1, 64, 151) and batch.mel[:, 0, 0, 0].tolist() == [40.0, 21.0]
    assert batch.logits.tolist() == [[40.0, -40.0], [21.0, -21.0]]
    assert batch.labels.tolist() == [0, 0] and batch.hard.tolist() == [True, False]
    assert batch.hidden["wav2vec2"].shape == (2, 2, 3)  # layers, clips, dimensions
    assert batch.hidden["wav2vec2"][..., 0].tolist() == [[401 / 2, 211 / 2], [403 / 2, 213 / 2]]
    assert batch.hidden["conformer"][..., 0].tolist() == [[400 / 0.5, 210 / 0.5]]


def test_layers_come_in_the_order_asked_for(laid):
    batch = laid({"wav2vec2": (3, 0)}).gather(torch.tensor([1]), torch.tensor([0]))
    assert batch.hidden["wav2vec2"][:, 0, 0].tolist() == [103 / 2, 100 / 2]


def test_a_batch_is_what_training_computes_in(laid):
    batch = laid({"wav2vec2": (0,)}).gather(torch.tensor([0]), torch.tensor([0]))
    dtypes = (batch.mel.dtype, batch.logits.dtype, batch.hidden["wav2vec2"].dtype, batch.labels.dtype, batch.hard.dtype)
    assert dtypes == (torch.float32, torch.float32, torch.float32, torch.int64, torch.bool)


def test_without_aligned_layers_no_hidden_state_is_read(laid):
    assert laid({}).gather(torch.tensor([0]), torch.tensor([0])).hidden == {}


def test_a_batch_may_be_changed_without_changing_the_corpus(laid):
    batches = laid({"wav2vec2": (0,)})
    batch = batches.gather(torch.tensor([3]), torch.tensor([2]))
    for tensor in (batch.mel, batch.logits, batch.labels, batch.hidden["wav2vec2"]):
        tensor.zero_()
    again = batches.gather(torch.tensor([3]), torch.tensor([2]))
    assert (again.mel[0, 0, 0, 0], again.logits[0, 0], again.labels[0]) == (32.0, 32.0, 1)
    assert again.hidden["wav2vec2"][0, 0, 0] == 320 / 2


def spots(batches) -> list[int]:
    return [int(spot) for batch in batches for spot in batch.logits[:, 0]]


def test_an_epoch_is_every_clip_once_in_some_view(laid):
    batches, generator = laid({}), torch.Generator().manual_seed(0)
    epochs = [spots(batches.shuffled(2, generator)) for _ in range(30)]
    assert all(sorted(spot // 10 for spot in epoch) == [0, 1, 2, 3, 4] for epoch in epochs)
    assert {spot % 10 for epoch in epochs for spot in epoch} == {0, 1, 2}
    assert len({tuple(epoch) for epoch in epochs}) == 30


def test_every_clip_draws_a_view_of_its_own_whatever_its_batch(laid):
    epoch = spots(laid({}, n=60).shuffled(2, torch.Generator().manual_seed(0)))
    assert all(10 < sum(spot % 10 == view for spot in epoch) < 30 for view in range(VIEWS))


def test_an_epoch_is_the_generators_own(laid):
    def epoch(seed: int) -> list[int]:
        return spots(laid({}).shuffled(2, torch.Generator().manual_seed(seed)))

    assert epoch(1) == epoch(1) != epoch(2)


def test_shuffled_batches_are_full_but_for_the_last(laid):
    batches = laid({"conformer": (1,)}).shuffled(2, torch.Generator().manual_seed(0))
    assert [(len(batch.labels), batch.hidden["conformer"].shape[1]) for batch in batches] == [(2, 2), (2, 2), (1, 1)]


def test_clean_batches_are_every_clip_in_order_as_it_is(laid):
    batches = laid({})
    assert spots(batches.clean(2)) == [0, 10, 20, 30, 40]
    assert len(batches) == N and batches.n_views == VIEWS


def test_a_split_can_be_cut_to_its_first_clips(laid):
    cut = laid({}).first(2)
    assert len(cut) == 2 and spots(cut.clean(4)) == [0, 10]


def test_rows_are_asked_for_some_batches_before_they_are_gathered(laid):
    asked: list[list[int]] = []
    batches = replace(laid({}, n=12), read_ahead=lambda rows: asked.append(rows.tolist()))
    epoch = batches.clean(2)
    next(epoch)
    # Four batches of two clips at the start, and the fifth as the first is gathered; a clip has three views.
    assert asked == [[0, 3], [6, 9], [12, 15], [18, 21], [24, 27]]
    assert len(spots(epoch)) == 10
    assert [row for rows in asked for row in rows] == list(range(0, 36, 3))
