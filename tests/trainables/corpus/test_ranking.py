"""Which teacher layers tell the wake word, on a corpus."""

import shutil

import pytest

from tests.trainables.recipes import build, contents, recipe_of, write_clips
from trainables.corpus import ranking
from trainables.corpus.ranking import layer_scores, probes_on_corpus
from trainables.teachers.base import Teacher
from trainables.teachers.probe import LayerRow


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    return recipe_of(write_clips(tmp_path_factory.mktemp("recordings")))


@pytest.fixture
def corpus(recipe, tmp_path):
    build(recipe, tmp_path)
    return tmp_path / recipe.fingerprint


def row(layer: int, pauc: float, auc: float = 0.9, teacher: str = "wav2vec2") -> LayerRow:
    return LayerRow(teacher=teacher, layer=layer, splits={"val": {"pauc": pauc, "auc": auc}})


def test_every_layer_is_probed_on_train_and_val_alone(recipe, corpus):
    for name in ("hidden.wav2vec2.npy", "labels.npy"):
        (corpus / "test" / name).unlink()
    rows = probes_on_corpus(Teacher(recipe.encoders), corpus)
    assert [(each.teacher, each.layer, set(each.splits)) for each in rows] == [
        ("wav2vec2", layer, {"train", "val"}) for layer in range(4)
    ]


def test_probes_are_kept_beside_the_corpus_and_not_made_again(recipe, corpus, monkeypatch):
    teacher = Teacher(recipe.encoders)
    first, before = probes_on_corpus(teacher, corpus), contents(corpus)
    monkeypatch.setattr(ranking, "probe_layers", None)
    assert probes_on_corpus(teacher, corpus) == first and contents(corpus) == before
    shutil.rmtree(corpus / "train")
    assert probes_on_corpus(teacher, corpus) == first


def test_layers_rank_by_what_their_probes_read_and_equals_by_auc_and_index():
    rows = [row(0, 0.5), row(1, 0.8, auc=0.9), row(2, 0.8, auc=0.95), row(3, 0.8, auc=0.9)]
    assert list(layer_scores(rows).items()) == [(2, 0.8), (1, 0.8), (3, 0.8), (0, 0.5)]


def test_of_two_teachers_a_layer_is_worth_the_mean_of_those_that_have_it():
    rows = [row(0, 0.5), row(1, 0.7), row(0, 0.9, teacher="conformer")]
    assert layer_scores(rows) == pytest.approx({0: 0.7, 1: 0.7})


def test_nothing_probed_ranks_nothing():
    assert layer_scores([]) == {}
