"""What names a corpus: all that its arrays hang on, and nothing else."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.trainables.recipes import random_encoder, recipe_of, write_tone


@pytest.fixture
def copy(data, tmp_path) -> Path:
    """The recordings in another folder, to be changed."""
    return shutil.copytree(data, tmp_path / "copy")


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("train/positive/9.wav", id="label"),
        pytest.param("train/hard_negative/9.wav", id="hardness"),
        pytest.param("test/negative/9.wav", id="split"),
        pytest.param("9.wav", id="left out"),
    ],
)
def test_the_fingerprint_follows_what_a_clip_is_taken_for(recipe, copy, target):
    (copy / "train/negative/0.wav").rename(copy / target)
    assert recipe_of(copy).fingerprint != recipe.fingerprint


def test_the_fingerprint_follows_the_split_though_the_order_of_clips_stays(recipe):
    clips = list(recipe.clips.clips)
    last = recipe.clips.of("train")[-1]
    clips[8] = replace(last, clip=replace(last.clip, split="val"))
    moved = replace(recipe, clips=replace(recipe.clips, clips=tuple(clips)))
    assert [clip.content_hash for clip in clips] == [clip.content_hash for clip in recipe.clips.clips]
    assert moved.fingerprint != recipe.fingerprint


def test_the_fingerprint_follows_clips_that_are_added(recipe, copy):
    write_tone(copy / "val/negative/9.wav", hertz=400, seed=99)
    assert recipe_of(copy).fingerprint != recipe.fingerprint


def test_the_fingerprint_does_not_follow_folder_and_file_names(recipe, copy):
    # Numbered the other way round, so that their alphabetical order changes.
    for path in list(copy.rglob("*.wav")):
        path.rename(path.with_name(f"clip{9 - int(path.stem)}.wav"))
    assert recipe_of(copy).fingerprint == recipe.fingerprint


def test_the_fingerprint_follows_what_a_clip_sounds_like(recipe, copy):
    sound = bytearray((copy / "val/negative/0.wav").read_bytes())
    sound[-2] ^= 1  # the last sample, by one step of 16 bits
    (copy / "val/negative/0.wav").write_bytes(sound)
    assert recipe_of(copy).fingerprint != recipe.fingerprint


@pytest.mark.parametrize("views", [{"count": 3}, {"seed": 1}, {"shift_ms": 50}, {"snr_db": (5, 10)}])
def test_the_fingerprint_follows_the_views(recipe, data, views):
    assert recipe_of(data, **views).fingerprint != recipe.fingerprint == recipe_of(data).fingerprint


def test_the_fingerprint_follows_the_teachers_weights(recipe, data):
    assert recipe_of(data, random_encoder(seed=1)).fingerprint != recipe.fingerprint
    nudged = random_encoder()
    with torch.no_grad():
        next(nudged.parameters()).view(-1)[0] += 1e-3
    assert recipe_of(data, nudged).fingerprint != recipe.fingerprint
