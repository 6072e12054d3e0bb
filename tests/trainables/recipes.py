"""A corpus in miniature: real recordings, a random Wav2Vec2, the views of a sweep.

Also a program, for tests that need a second process: ``python recipes.py DATA CORPORA [KILL_AT]`` builds the
corpus in shards of two clips, tells how many it made, and with KILL_AT ends itself by SIGKILL once so many
clips are done.
"""

import contextlib
import hashlib
import os
import signal
import sys
from pathlib import Path

import numpy as np
import soundfile
import torch

from spaces.sections import Data, Views
from tests.trainables.teachers.conftest import CONFIGS, random_model
from trainables.audio.check import load_clips
from trainables.audio.views import ViewMaker
from trainables.corpus import shards
from trainables.corpus.build import build_corpus
from trainables.corpus.recipe import Recipe
from trainables.corpus.shards import Shard, cut, missing
from trainables.teachers.base import Encoder
from trainables.teachers.wav2vec2 import Wav2Vec2Encoder

N_CLIPS = {
    "train": {"positive": 4, "negative": 4, "hard_negative": 1},
    "val": {"positive": 2, "negative": 2},
    "test": {"positive": 2, "negative": 2},
}
N_VIEWS = 2
# In shards of two clips: 2 2 2 2 1 of train, 2 2 of val, 2 2 of test.
CLIPS_DONE = [2, 4, 6, 8, 9, 11, 13, 15, 17]
SHARD = 2


def write_tone(path: Path, hertz: float, seed: int) -> None:
    """A second of a tone in noise, 16 kHz."""
    noise = np.random.default_rng(seed).normal(scale=0.02, size=16_000)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * hertz * np.arange(16_000) / 16_000) + noise, 16_000)


def write_clips(folder: Path) -> Path:
    """Split and class folders: the wake word is a tone of 2 kHz, all else one of 400 Hz."""
    seed = 0
    for split, classes in N_CLIPS.items():
        for name, n in classes.items():
            for i in range(n):
                write_tone(folder / split / name / f"{i}.wav", 2000 if name == "positive" else 400, seed)
                seed += 1
    return folder


def random_encoder(seed: int = 0) -> Wav2Vec2Encoder:
    """4 layers of 64."""
    return Wav2Vec2Encoder(random_model(CONFIGS["wav2vec2"], seed), normalise=True)


def recipe_of(folder: Path, encoder: Encoder | None = None, **views) -> Recipe:
    settings = Views(**{"count": N_VIEWS, **views})
    encoder = encoder or random_encoder()
    return Recipe(load_clips(Data(path=folder, views=settings)), ViewMaker(settings), {encoder.name: encoder})


def contents(folder: Path) -> dict[str, str]:
    """Relative path to SHA-256 of every file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class InterruptionError(Exception):
    """Stands for whatever ends a build."""


class Watched:
    """Progress that is noted, the teacher's passes counted, and an interruption once ``stop_at`` clips are done."""

    def __init__(self, recipe, stop_at: int | None = None) -> None:
        self.stop_at, self.done, self.n_passes = stop_at, [], 0
        self._hook = recipe.encoders["wav2vec2"].register_forward_hook(self._count)

    def _count(self, *_) -> None:
        self.n_passes += 1

    def __call__(self, done: int, of: int) -> None:
        assert of == CLIPS_DONE[-1]
        self.done.append(done)
        if done == self.stop_at:
            raise InterruptionError

    def remove(self) -> None:
        self._hook.remove()


def build(recipe, corpora: Path, stop_at: int | None = None) -> Watched:
    watched = Watched(recipe, stop_at)
    with contextlib.suppress(InterruptionError):
        build_corpus(recipe, corpora, watched)
    watched.remove()
    return watched


def left_of(recipe, corpora: Path) -> list[Shard]:
    """The shards that an interrupted build left to do."""
    return missing(corpora / f"{recipe.fingerprint}.partial", cut(recipe.n_clips))


def _main(data: str, corpora: str, kill_at: str = "0") -> None:
    torch.set_num_threads(1)
    shards.CLIPS_PER_SHARD = SHARD
    n_shards = 0

    def progress(done: int, of: int) -> None:
        nonlocal n_shards
        n_shards += 1
        if done == int(kill_at):
            os.kill(os.getpid(), signal.SIGKILL)

    build_corpus(recipe_of(Path(data)), Path(corpora), progress)
    print(n_shards)


if __name__ == "__main__":
    _main(*sys.argv[1:])
