"""Reading a corpus: batches worked out by hand, epochs, layers per teacher, and what cannot be opened."""

import numpy as np
import pytest
import torch

from trainables.corpus import Corpus, Split, TeacherStates, check_layers, read_teachers

N, VIEWS = 5, 3


def split_of(n: int = N, n_views: int = VIEWS) -> Split:
    """Every number tells where it stood: clip 2 in view 1 is 21, its layer 3 is 213."""
    clip, view = np.arange(n).reshape(n, 1), np.arange(n_views)
    place = 10 * clip + view  # (n, n_views)
    layers = {"wav2vec2": 4, "conformer": 2}
    return Split(
        mel=np.broadcast_to(place[..., None, None], (n, n_views, 64, 151)).astype(np.float16),
        logits=np.stack([place, -place], axis=-1).astype(np.float32),
        hidden={
            name: (10 * place[..., None, None] + np.arange(count)[:, None] + np.zeros(3)).astype(np.float16)
            for name, count in layers.items()
        },
        labels=np.arange(n, dtype=np.int64) % 2,
        hard=np.arange(n) == 4,
        rms={"wav2vec2": 2.0, "conformer": 0.5},
    )


def corpus_with(**n_layers: int) -> Corpus:
    teachers = {name: TeacherStates(n_layers=count, dim=3, rms=1.0) for name, count in n_layers.items()}
    return Corpus(splits={}, teachers=teachers)


def test_a_batch_holds_each_clip_in_its_view_with_the_layers_asked_for():
    batch = split_of().gather(torch.tensor([4, 2]), torch.tensor([0, 1]), {"wav2vec2": (1, 3), "conformer": (0,)})
    assert batch.mel.shape == (2, 1, 64, 151) and batch.mel[:, 0, 0, 0].tolist() == [40.0, 21.0]
    assert batch.logits.tolist() == [[40.0, -40.0], [21.0, -21.0]]
    assert batch.labels.tolist() == [0, 0] and batch.hard.tolist() == [True, False]
    assert batch.hidden["wav2vec2"].shape == (2, 2, 3)
    assert batch.hidden["wav2vec2"][..., 0].tolist() == [[401 / 2, 403 / 2], [211 / 2, 213 / 2]]
    assert batch.hidden["conformer"][..., 0].tolist() == [[400 / 0.5], [210 / 0.5]]


def test_layers_come_in_the_order_asked_for():
    batch = split_of().gather(torch.tensor([1]), torch.tensor([0]), {"wav2vec2": (3, 0)})
    assert batch.hidden["wav2vec2"][0, :, 0].tolist() == [103 / 2, 100 / 2]


def test_a_batch_is_what_training_computes_in():
    batch = split_of().gather(torch.tensor([0]), torch.tensor([0]), {"wav2vec2": (0,)})
    dtypes = (batch.mel.dtype, batch.logits.dtype, batch.hidden["wav2vec2"].dtype, batch.labels.dtype, batch.hard.dtype)
    assert dtypes == (torch.float32, torch.float32, torch.float32, torch.int64, torch.bool)


def test_without_aligned_layers_no_hidden_state_is_read():
    assert split_of().gather(torch.tensor([0]), torch.tensor([0]), {}).hidden == {}


def test_a_batch_may_be_changed_without_changing_the_corpus():
    split = split_of()
    batch = split.gather(torch.tensor([3]), torch.tensor([2]), {"wav2vec2": (0,)})
    for tensor in (batch.mel, batch.logits, batch.labels, batch.hidden["wav2vec2"]):
        tensor.zero_()
    again = split.gather(torch.tensor([3]), torch.tensor([2]), {"wav2vec2": (0,)})
    assert (again.mel[0, 0, 0, 0], again.logits[0, 0], again.labels[0]) == (32.0, 32.0, 1)


def places(batches) -> list[int]:
    return [int(place) for batch in batches for place in batch.logits[:, 0]]


def test_an_epoch_is_every_clip_once_in_some_view():
    split, generator = split_of(), torch.Generator().manual_seed(0)
    epochs = [places(split.shuffled(2, generator, {})) for _ in range(30)]
    assert all(sorted(place // 10 for place in epoch) == [0, 1, 2, 3, 4] for epoch in epochs)
    assert {place % 10 for epoch in epochs for place in epoch} == {0, 1, 2}
    assert len({tuple(epoch) for epoch in epochs}) == 30


def test_every_clip_draws_a_view_of_its_own_whatever_its_batch():
    epoch = places(split_of(n=60).shuffled(2, torch.Generator().manual_seed(0), {}))
    assert all(10 < sum(place % 10 == view for place in epoch) < 30 for view in range(VIEWS))


def test_an_epoch_is_the_generators_own():
    def epoch(seed: int) -> list[int]:
        return places(split_of().shuffled(2, torch.Generator().manual_seed(seed), {}))

    assert epoch(1) == epoch(1) != epoch(2)


def test_shuffled_batches_are_full_but_for_the_last():
    batches = split_of().shuffled(2, torch.Generator().manual_seed(0), {"conformer": (1,)})
    assert [(len(batch.labels), len(batch.hidden["conformer"])) for batch in batches] == [(2, 2), (2, 2), (1, 1)]


def test_clean_batches_are_every_clip_in_order_as_it_is():
    assert places(split_of().clean(2, {})) == [0, 10, 20, 30, 40]
    assert len(split_of()) == N and split_of().n_views == VIEWS


def test_each_teacher_gives_those_of_the_aligned_layers_that_it_has():
    corpus = corpus_with(wav2vec2=13, conformer=4)
    assert corpus.layers_of((2, 4, 6)) == {"wav2vec2": (2, 4, 6), "conformer": (2,)}
    assert corpus.layers_of((12,)) == {"wav2vec2": (12,)}
    assert corpus.layers_of(()) == {}


def test_layers_that_no_teacher_has_are_named_with_those_there_are():
    told = r"alignment_layers names \[13, 20\], but wav2vec2 has layers 0 to 12, conformer has layers 0 to 3; choose"
    with pytest.raises(ValueError, match=told):
        corpus_with(wav2vec2=13, conformer=4).layers_of((2, 13, 20))
    with pytest.raises(ValueError, match=r"names \[7\], but wav2vec2 has layers 0 to 6"):
        check_layers((6, 7), {"wav2vec2": 7})


def test_a_corpus_on_disk_is_mapped_and_not_read(corpus_folder, head):
    corpus = Corpus.open(corpus_folder, head)
    train = corpus.splits["train"]
    assert all(isinstance(array, np.memmap) for array in (train.mel, train.logits, *train.hidden.values()))
    assert not train.mel.flags.writeable
    assert read_teachers(corpus_folder) == corpus.teachers == {"wav2vec2": TeacherStates(n_layers=5, dim=6, rms=2.0)}
    assert {name: (len(split), split.n_views) for name, split in corpus.splits.items()} == {
        "train": (11, 3), "val": (8, 1), "test": (8, 1),
    }  # fmt: skip


def test_logits_of_a_head_that_was_never_asked_are_not_found(corpus_folder):
    with pytest.raises(FileNotFoundError, match=r"logits\.other\.npy"):
        Corpus.open(corpus_folder, "other")


def test_a_folder_that_is_no_finished_corpus_is_not_opened(tmp_path, head):
    with pytest.raises(FileNotFoundError, match=r"corpus\.json"):
        Corpus.open(tmp_path, head)
