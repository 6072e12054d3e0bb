"""A head on a corpus: its logits are the teacher's own, fitting it takes no pass, another adds only its file."""

import numpy as np
import pytest
import torch

from spaces.sections import Objective
from tests.trainables.recipes import N_VIEWS, contents, recipe_of, write_clips
from trainables.audio.entries import SPLITS
from trainables.corpus.build import build_corpus
from trainables.corpus.logits import fit_on_corpus, pooled, teacher_metrics, write_logits
from trainables.corpus.store import Corpus
from trainables.teachers.base import Teacher
from trainables.teachers.conformer import ConformerConfig, ConformerEncoder
from trainables.teachers.head import LinearHead, all_layers, one_layer

N_LAYERS, DIM = 4, 64


def random_head(seed: int, n_layers: int = N_LAYERS, dim: int = DIM) -> LinearHead:
    numbers = torch.randn(2, dim + 1, generator=torch.Generator().manual_seed(seed))
    return LinearHead(all_layers(n_layers), numbers[:, :dim], numbers[:, dim])


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        conformer = ConformerEncoder(ConformerConfig(dim=16, n_blocks=2, n_heads=2, ffn_dim=8, kernel_frames=5))
    recipe = recipe_of(write_clips(tmp_path_factory.mktemp("recordings")))
    recipe.encoders["conformer"] = conformer
    return recipe


@pytest.fixture
def corpus(recipe, tmp_path):
    return build_corpus(recipe, tmp_path)


@pytest.fixture
def teacher(recipe) -> Teacher:
    return Teacher({"wav2vec2": recipe.encoders["wav2vec2"]}, {"wav2vec2": random_head(0)})


@pytest.fixture
def dual(recipe) -> Teacher:
    heads = {"wav2vec2": random_head(0), "conformer": random_head(1, 2, 16)}
    # Mixing by confidence divides by entropies, which would blow up the rounding of the corpus.
    return Teacher(recipe.encoders, heads, mixing="gentle")


@pytest.mark.parametrize("which", ["teacher", "dual"])
def test_stored_logits_are_the_teachers_of_the_same_clip_and_view(which, corpus, recipe, request):
    teacher = request.getfixturevalue(which)
    write_logits(corpus, teacher)
    opened = Corpus.open(corpus, teacher.head_fingerprint)
    for split in SPLITS:
        for i, clip in enumerate(recipe.clips.of(split)):
            for k in range(recipe.n_views(split)):
                view = torch.from_numpy(recipe.views.view(clip.samples(), clip.content_hash, k)).unsqueeze(0)
                told = teacher.classify(teacher.encode(view))[0]
                # The corpus keeps hidden states in half precision, and 64 of them are summed with weights of about 1.
                np.testing.assert_allclose(opened.splits[split].logits[i, k], told, atol=0.02)
    assert opened.splits["train"].logits.dtype == np.float32


def test_stored_logits_are_exactly_the_head_on_the_stored_states(corpus, teacher):
    write_logits(corpus, teacher)
    hidden = torch.from_numpy(np.load(corpus / "train/hidden.wav2vec2.npy").astype(np.float32))
    logits = np.load(corpus / f"train/logits.{teacher.head_fingerprint}.npy")
    assert logits.shape == (9, N_VIEWS, 2)
    head = teacher.heads["wav2vec2"]
    by_hand = hidden.mean(dim=2) @ head.weight.detach().T + head.bias.detach()  # this head takes all layers alike
    np.testing.assert_allclose(logits, by_hand, atol=1e-4)


def test_many_clips_go_through_the_head_in_chunks_and_stay_in_order(corpus, teacher, monkeypatch):
    write_logits(corpus, teacher)
    path = corpus / f"train/logits.{teacher.head_fingerprint}.npy"
    at_once = np.load(path)
    path.unlink()
    monkeypatch.setattr("trainables.corpus.logits.CLIPS_AT_ONCE", 4)  # of 9
    write_logits(corpus, teacher)
    np.testing.assert_allclose(np.load(path), at_once, atol=1e-5)


def test_another_head_adds_only_its_logits(corpus, teacher):
    write_logits(corpus, teacher)
    before = contents(corpus)
    other = Teacher(teacher.members, {"wav2vec2": random_head(1)})
    write_logits(corpus, other)
    added = {f"{split}/logits.{other.head_fingerprint}.npy" for split in SPLITS}
    after = contents(corpus)
    assert set(after) - set(before) == added
    assert {name: after[name] for name in before} == before


def test_logits_that_are_there_are_not_written_again(corpus, teacher):
    write_logits(corpus, teacher)
    path = corpus / f"val/logits.{teacher.head_fingerprint}.npy"
    path.write_bytes(b"kept")
    write_logits(corpus, teacher)
    assert path.read_bytes() == b"kept"


def test_a_teacher_without_a_head_has_no_logits(corpus, recipe):
    with pytest.raises(ValueError, match="not fitted"):
        write_logits(corpus, Teacher({"wav2vec2": recipe.encoders["wav2vec2"]}))
    assert not list(corpus.rglob("logits.*.npy"))


def test_pooled_states_are_a_row_a_view_with_the_clips_label(corpus, teacher):
    rows = pooled(corpus, "train", teacher)
    stored, labels = np.load(corpus / "train/hidden.wav2vec2.npy"), np.load(corpus / "train/labels.npy")
    assert rows.states["wav2vec2"].shape == (9 * N_VIEWS, N_LAYERS, DIM)
    for clip, view in ((0, 0), (4, 1), (8, 1)):
        row = clip * N_VIEWS + view
        assert (rows.states["wav2vec2"][row].numpy() == stored[clip, view]).all()
        assert rows.labels[row] == labels[clip]


def test_a_head_fitted_on_the_corpus_tells_the_tones_apart(corpus, recipe):
    fitted = fit_on_corpus(Teacher({"wav2vec2": recipe.encoders["wav2vec2"]}), corpus)
    write_logits(corpus, fitted)
    metrics = teacher_metrics(corpus, fitted, Objective())
    assert {split: (told["f1"], told["pauc"]) for split, told in metrics.items()} == dict.fromkeys(SPLITS, (1.0, 1.0))


def test_a_teachers_metrics_are_those_of_its_clean_logits(corpus, teacher):
    # A head that takes everything for the wake word: 4 of 9 clips are, so F1 = 2 * 4 / (2 * 4 + 5).
    yes = LinearHead(one_layer(0, N_LAYERS), torch.zeros(2, DIM), torch.tensor([0.0, 1.0]))
    sure = Teacher(teacher.members, {"wav2vec2": yes})
    write_logits(corpus, sure)
    metrics = teacher_metrics(corpus, sure, Objective())
    assert metrics["train"]["f1"] == pytest.approx(8 / 13)
    assert metrics["val"]["f1"] == pytest.approx(4 / 6)
