"""What a corpus on disk holds: its arrays, its teachers' layers, and what cannot be opened."""

import numpy as np
import pytest

from trainables.corpus.store import Corpus, TeacherStates, check_layers, n_of_each_label, read_teachers


def corpus_with(**n_layers: int) -> Corpus:
    teachers = {name: TeacherStates(n_layers=count, dim=3, rms=1.0) for name, count in n_layers.items()}
    return Corpus(splits={}, teachers=teachers)


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
    assert read_teachers(corpus_folder) == corpus.teachers == {"wav2vec2": TeacherStates(n_layers=5, dim=6, rms=2.0)}
    assert {name: (len(split), split.n_views) for name, split in corpus.splits.items()} == {
        "train": (11, 3), "val": (8, 1), "test": (8, 1),
    }  # fmt: skip


def test_what_is_written_to_an_opened_corpus_does_not_reach_its_files(corpus_folder, head):
    first, again = (Corpus.open(corpus_folder, head).splits["train"].mel for _ in range(2))
    before = float(again[0, 0, 0, 0])
    first[0, 0, 0, 0] = before + 1
    assert again[0, 0, 0, 0] == np.load(corpus_folder / "train/mel.npy")[0, 0, 0, 0] == before


def test_logits_of_a_head_that_was_never_asked_are_not_found(corpus_folder):
    with pytest.raises(FileNotFoundError, match=r"logits\.other\.npy"):
        Corpus.open(corpus_folder, "other")


def test_a_folder_that_is_no_finished_corpus_is_not_opened(tmp_path, head):
    with pytest.raises(FileNotFoundError, match=r"corpus\.json"):
        Corpus.open(tmp_path, head)


def test_the_clips_of_each_label_are_counted_once_each(tmp_path):
    np.save(tmp_path / "labels.npy", np.array([1, 1, 0, 0, 0]))
    np.save(tmp_path / "hard.npy", np.array([False, True, True, False, False]))
    assert n_of_each_label(tmp_path) == {"positive": 2, "negative": 2, "hard_negative": 1}
