"""Building a corpus: what is in it, and what interruptions and a full disk do to it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from spaces.errors import InputError
from tests.trainables.recipes import CLIPS_DONE, N_VIEWS, SHARD, build, contents, left_of, recipe_of
from trainables.audio.frontend import LogMel, read_clip
from trainables.corpus import shards
from trainables.corpus.build import build_corpus
from trainables.corpus.fill import fill_here
from trainables.corpus.recipe import Recipe
from trainables.corpus.store import Corpus, read_teachers
from trainables.teachers.base import Encoder
from trainables.teachers.conformer import ConformerConfig, ConformerEncoder

ROOT = Path(__file__).resolve().parents[3]
N_TRAIN, N_VAL, N_LAYERS, DIM = 9, 4, 4, 64


@pytest.fixture(autouse=True)
def _shards_of_two(monkeypatch):
    monkeypatch.setattr(shards, "CLIPS_PER_SHARD", SHARD)
    # As in the second process of some tests: sums are the same bytes only over the same threads.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory) -> Path:
    """The corpus of an uninterrupted build."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "CLIPS_PER_SHARD", SHARD)
        torch.set_num_threads(1)
        return build_corpus(recipe, tmp_path_factory.mktemp("corpora"))


class Constant(Encoder):
    """Hears anything as two layers of given numbers."""

    name, n_layers, dim = "constant", 2, 1

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.values = torch.nn.Parameter(torch.tensor(values).reshape(2, 1))

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        return self.values.expand(len(waveform), 2, 1)

    def description(self) -> dict:
        return {}


# What is in it


def test_arrays_have_a_row_a_clip_and_only_training_clips_have_views(whole):
    arrays = {path: np.load(whole / f"{path}.npy") for path in ("train/mel", "train/hidden.wav2vec2", "val/mel")}
    assert {path: (array.shape, array.dtype.name) for path, array in arrays.items()} == {
        "train/mel": ((N_TRAIN, N_VIEWS, 64, 151), "float16"),
        "train/hidden.wav2vec2": ((N_TRAIN, N_VIEWS, N_LAYERS, DIM), "float16"),
        "val/mel": ((N_VAL, 1, 64, 151), "float16"),
    }
    assert np.load(whole / "test/hidden.wav2vec2.npy").shape == (4, 1, N_LAYERS, DIM)


def test_every_view_of_every_clip_is_filled_and_views_differ(whole):
    mel = np.load(whole / "train/mel.npy")
    assert (mel.astype(np.float32).std(axis=(2, 3)) > 0.9).all()  # the front-end's is 1
    assert all((mel[i, 0] != mel[i, 1]).any() for i in range(N_TRAIN))


def test_view_0_is_the_clip_itself_for_student_and_teacher(whole, recipe):
    for split in ("train", "test"):
        for i, clip in enumerate(recipe.clips.of(split)):
            waveform = torch.from_numpy(read_clip(clip.clip.path)).unsqueeze(0)
            mel, hidden = LogMel()(waveform)[0, 0], recipe.encoders["wav2vec2"].encode(waveform)[0]
            np.testing.assert_allclose(np.load(whole / split / "mel.npy")[i, 0], mel, atol=4e-3)
            np.testing.assert_allclose(np.load(whole / split / "hidden.wav2vec2.npy")[i, 0], hidden, atol=4e-3)


def test_later_views_are_the_view_makers_for_student_and_teacher_alike(whole, recipe):
    clip = recipe.clips.of("train")[3]
    view = torch.from_numpy(recipe.views.view(clip.samples(), clip.content_hash, 1)).unsqueeze(0)
    np.testing.assert_allclose(np.load(whole / "train/mel.npy")[3, 1], LogMel()(view)[0, 0], atol=4e-3)
    hidden = recipe.encoders["wav2vec2"].encode(view)[0]
    np.testing.assert_allclose(np.load(whole / "train/hidden.wav2vec2.npy")[3, 1], hidden, atol=4e-3)


def test_labels_and_hard_negatives_stand_beside_their_clips(whole, recipe):
    clips = recipe.clips.of("train")
    labels, hard = np.load(whole / "train/labels.npy"), np.load(whole / "train/hard.npy")
    assert labels.tolist() == [int(clip.clip.path.parent.name == "positive") for clip in clips]
    assert hard.tolist() == [clip.clip.path.parent.name == "hard_negative" for clip in clips]
    assert (labels.dtype, labels.sum(), hard.dtype, hard.sum()) == (np.int64, 4, np.bool_, 1)


def test_the_manifest_tells_what_the_corpus_was_made_of(whole, recipe):
    manifest = json.loads((whole / "corpus.json").read_text())
    assert whole.name == manifest["fingerprint"] == recipe.fingerprint
    assert manifest["n_clips"] == {"train": 9, "val": 4, "test": 4}
    assert manifest["n_views"] == {"train": N_VIEWS, "val": 1, "test": 1}
    assert not (whole / shards.MARKERS).exists()


def test_the_rms_is_over_all_layers_and_views_of_training_clips(data, tmp_path, whole):
    corpus = build_corpus(recipe_of(data, Constant(3.0, 4.0)), tmp_path)
    assert read_teachers(corpus)["constant"].rms == pytest.approx(12.5**0.5)  # (9 + 16) / 2
    states = np.load(whole / "train/hidden.wav2vec2.npy").astype(np.float64)
    assert read_teachers(whole)["wav2vec2"].rms == pytest.approx(np.sqrt((states**2).mean()))


def test_states_that_half_precision_cannot_hold_are_refused(data, tmp_path):
    with pytest.raises(FloatingPointError, match=r"hidden\.constant .* check the teacher"):
        build_corpus(recipe_of(data, Constant(1.0, 1e6)), tmp_path)


def test_two_teachers_have_an_array_each(recipe, tmp_path):
    conformer = ConformerEncoder(ConformerConfig(dim=16, n_blocks=2, n_heads=2, ffn_dim=8, kernel_frames=5))
    both = Recipe(recipe.clips, recipe.views, {**recipe.encoders, "conformer": conformer})
    corpus = build_corpus(both, tmp_path)
    assert np.load(corpus / "train/hidden.conformer.npy").shape == (N_TRAIN, N_VIEWS, 2, 16)
    assert np.load(corpus / "val/hidden.wav2vec2.npy").shape == (N_VAL, 1, N_LAYERS, DIM)
    assert {name: (states.n_layers, states.dim) for name, states in read_teachers(corpus).items()} == {
        "wav2vec2": (N_LAYERS, DIM), "conformer": (2, 16),
    }  # fmt: skip
    assert both.fingerprint != recipe.fingerprint


# What interruptions do to it


@pytest.mark.parametrize("stop_at", [2, 8, 9, 11, 17])
def test_an_interrupted_build_goes_on_where_it_stopped_and_gives_the_same_bytes(recipe, whole, tmp_path, stop_at):
    first = build(recipe, tmp_path, stop_at)
    assert first.done == CLIPS_DONE[: len(first.done)] and first.done[-1] == stop_at
    left = left_of(recipe, tmp_path)
    second = build(recipe, tmp_path)
    # A shard more may be written than was told of when the interruption came; none is made twice or left out.
    assert second.done == CLIPS_DONE[len(CLIPS_DONE) - len(left) :]
    assert second.n_passes == len(left)
    assert contents(tmp_path / recipe.fingerprint) == contents(whole)


def test_a_build_may_be_interrupted_again_and_again(recipe, whole, tmp_path):
    for done in CLIPS_DONE:
        build(recipe, tmp_path, stop_at=done)
    build(recipe, tmp_path)
    assert contents(tmp_path / recipe.fingerprint) == contents(whole)


def test_a_shard_that_was_half_written_is_made_again(recipe, whole, tmp_path):
    build(recipe, tmp_path, stop_at=4)
    # A process killed between writing and marking leaves rows of a shard that is not marked.
    shard = left_of(recipe, tmp_path)[0]
    half = np.load(tmp_path / f"{recipe.fingerprint}.partial" / shard.split / "mel.npy", mmap_mode="r+")
    half[shard.start : shard.stop] = 7
    half.flush()
    build(recipe, tmp_path)
    assert contents(tmp_path / recipe.fingerprint) == contents(whole)


def test_shards_are_written_in_any_order_and_more_than_once(recipe, whole, tmp_path):
    def backwards_and_twice(recipe, folder, shards, on_shard):
        for shard in reversed(shards):
            fill_here(recipe, folder, [shard, shard], on_shard)

    build_corpus(recipe, tmp_path, fill=backwards_and_twice)
    assert contents(tmp_path / recipe.fingerprint) == contents(whole)


def test_shards_that_were_marked_under_another_size_are_made_again(recipe, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(shards, "CLIPS_PER_SHARD", 3)
        build(recipe, tmp_path, stop_at=6)
    assert build(recipe, tmp_path).done == CLIPS_DONE
    assert contents(tmp_path / recipe.fingerprint) == contents(whole)


def test_a_corpus_with_a_shard_left_out_is_not_finished(recipe, tmp_path):
    with pytest.raises(RuntimeError, match=r"1 shards of .* were left out, train\.0-2 first"):
        build_corpus(
            recipe, tmp_path, fill=lambda recipe, folder, shards, on: fill_here(recipe, folder, shards[1:], on)
        )
    assert not (tmp_path / recipe.fingerprint).exists()


def test_a_half_written_corpus_is_never_opened(recipe, tmp_path):
    build(recipe, tmp_path, stop_at=15)
    assert not (tmp_path / recipe.fingerprint).exists()
    with pytest.raises(FileNotFoundError):
        Corpus.open(tmp_path / f"{recipe.fingerprint}.partial", "head")
    build(recipe, tmp_path)
    assert not (tmp_path / f"{recipe.fingerprint}.partial").exists()


def test_a_corpus_that_is_there_is_not_built_again(recipe, whole):
    before = contents(whole)
    watched = build(recipe, whole.parent)
    assert (watched.done, watched.n_passes, contents(whole)) == ([], 0, before)


def process(data: Path, corpora: Path, *more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.trainables.recipes", str(data), str(corpora), *more]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_killed_build_goes_on_and_gives_the_same_bytes(data, recipe, whole, tmp_path):
    killed = process(data, tmp_path, "9")
    assert killed.wait(timeout=120) == -signal.SIGKILL
    left = left_of(recipe, tmp_path)
    assert 0 < len(left) <= 4
    resumed = build(recipe, tmp_path)
    assert resumed.done == CLIPS_DONE[-len(left) :] and resumed.n_passes == len(left)
    assert contents(tmp_path / recipe.fingerprint) == contents(whole)


@pytest.mark.slow
def test_a_build_that_is_killed_at_any_moment_goes_on_and_gives_the_same_bytes(data, recipe, whole, tmp_path):
    markers = tmp_path / f"{recipe.fingerprint}.partial" / shards.MARKERS
    for n_shards in (1, 3, 6):
        running = process(data, tmp_path)
        while running.poll() is None and not (markers.exists() and len(list(markers.glob("[!.]*"))) >= n_shards):
            time.sleep(0.001)
        running.kill()
        running.communicate()
    build(recipe, tmp_path)
    assert contents(tmp_path / recipe.fingerprint) == contents(whole)


@pytest.mark.slow
def test_two_processes_at_once_make_one_corpus_once(data, recipe, whole, tmp_path):
    both = [process(data, tmp_path) for _ in range(2)]
    shards = sorted(int(each.communicate(timeout=180)[0]) for each in both)
    assert shards == [0, len(CLIPS_DONE)]
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [recipe.fingerprint]
    assert contents(tmp_path / recipe.fingerprint) == contents(whole)


# A full disk


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 256 KiB; the corpus takes 0.5 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system can be mounted by root alone")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_without_room_is_refused_before_anything_is_written(recipe, tiny_disk):
    with pytest.raises(InputError, match=r"the corpus needs 0\.0005\d* GB more and 0\.00026\d* GB are free; free some"):
        build_corpus(recipe, tiny_disk)
    assert [path.suffix for path in tiny_disk.iterdir()] == [".lock"]


def test_a_build_with_all_its_room_claimed_goes_on_when_the_disk_is_full(recipe, whole, tmp_path, monkeypatch):
    build(recipe, tmp_path, stop_at=4)
    full = shutil.disk_usage(tmp_path)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    build(recipe, tmp_path)
    assert contents(tmp_path / recipe.fingerprint) == contents(whole)
    with pytest.raises(InputError, match=r"set DISTUNE_HOME to another disk, or lower data\.views\.count") as refused:
        build_corpus(recipe, tmp_path / "other")
    assert refused.value.faults[0].file == str(tmp_path / "other")
