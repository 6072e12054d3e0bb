"""Streams small enough to make in a moment."""

from pathlib import Path

import numpy as np
import soundfile

from tests.trainables.stream.sounds import RATE, tone
from trainables.audio.check import LoadedClip
from trainables.audio.clips import Clip
from trainables.audio.frontend import read_audio
from trainables.audio.scan import content_hash
from trainables.stream.detector import Streaming
from trainables.stream.heard import Recipe
from trainables.stream.recordings import find_recordings


def write_hours(folder: Path, words: str = "") -> Path:
    """Two recordings of noise that rises and falls, 20 s and 7 s with tones in it, and what ``wake_words.csv`` says."""
    folder.mkdir(parents=True)
    for seed, (name, seconds) in enumerate((("day.wav", 20.0), ("night.flac", 7.0))):
        generator = np.random.default_rng(seed)
        n = int(seconds * RATE)
        loudness_db = np.interp(np.arange(n), np.arange(0, n + 3200, 3200), generator.uniform(-50, 0, n // 3200 + 1))
        samples = 0.2 * generator.normal(size=n) * 10 ** (loudness_db / 20)
        samples[3 * RATE : 3 * RATE + RATE // 2] += tone(2000, 0.5)
        soundfile.write(folder / name, np.clip(samples, -1, 1), RATE)
    if words:
        (folder / "wake_words.csv").write_text(f"path,start_seconds,end_seconds\n{words}")
    return folder


def word_clips(folder: Path, n: int = 3) -> list[LoadedClip]:
    """Clips of the wake word, a tone."""
    folder.mkdir(parents=True, exist_ok=True)
    loaded = []
    for seed in range(n):
        path = folder / f"{seed}.wav"
        soundfile.write(path, tone(2000, 0.8, seed), RATE)
        clip = Clip(path, 1, "val", None, hard=False)
        loaded.append(LoadedClip(clip, content_hash(*read_audio(path))))
    return loaded


def recipe_of(folder: Path, words: str = "", streaming: Streaming | None = None) -> Recipe:
    """Of recordings and clips under ``folder``, written where they are not there."""
    hours = folder / "hours"
    recordings = find_recordings(hours if hours.exists() else write_hours(hours, words))
    return Recipe(recordings, word_clips(folder / "words"), streaming or Streaming())
