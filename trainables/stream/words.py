"""A wake word as a detector meets it: a clip with nothing before and after it, or amid other sound."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from trainables.audio.frontend import CLIP_SAMPLES, CLIP_SECONDS, HOP_SAMPLES, SAMPLE_RATE, SILENT_RMS, Samples
from trainables.stream.detector import Streaming

# What is this much softer than the loudest 10 ms of a clip is not the word any more.
SOUND_DB = -30.0


class Word(NamedTuple):
    """A clip at its own length with silence around it, and where in it the word is, seconds."""

    name: str
    samples: Samples
    span: tuple[float, float]

    def pieces(self) -> Iterator[Samples]:
        """As a recording has them: here, all in one."""
        yield self.samples


def silence_seconds(streaming: Streaming) -> float:
    """Of what `within_silence` puts around a word."""
    return 2 * CLIP_SECONDS + (streaming.smoothing_window - 2) * streaming.hop_ms / 1000


def within_silence(name: str, samples: Samples, streaming: Streaming) -> Word:
    """A clip, (n,) at 16 kHz, within silence so long that every window over it hears some of the clip.

    Silence is what the front-end puts around a short clip in training, too; noise goes over all of it.
    """
    hop = streaming.hop_ms * SAMPLE_RATE // 1000
    before = CLIP_SAMPLES - hop
    # The last votes over the word are in when as many windows have gone by.
    after = before + streaming.smoothing_window * hop
    start, end = sounding(samples)
    return Word(name, np.pad(samples, (before, after)), (before / SAMPLE_RATE + start, before / SAMPLE_RATE + end))


def amid(word: Word, sound: Samples) -> Word:
    """A word of `within_silence` amid other sound instead, at the level of the clip.

    A student that knows silence from sound, and no words, tells a clip within silence from hours of sound.

    Args:
        sound: (n,) at 16 kHz; what is before the clip, and on from there what is after it; over and over if short.
    """
    first, last = (int(np.flatnonzero(word.samples)[at]) for at in (0, -1))
    clip = word.samples[first : last + 1]
    around = np.resize(sound, len(word.samples) - len(clip))
    level = float(np.sqrt(np.mean(np.square(around, dtype=np.float64))))
    wanted = float(np.sqrt(np.mean(np.square(clip, dtype=np.float64))))
    around = around * np.float32(wanted / max(level, SILENT_RMS))
    return word._replace(samples=np.concatenate([around[:first], clip, around[first:]]))


def sounding(samples: Samples) -> tuple[float, float]:
    """From where to where something sounds, in seconds: within 30 dB of the loudest 10 ms."""
    padded = np.pad(samples, (0, -len(samples) % HOP_SAMPLES)).reshape(-1, HOP_SAMPLES)
    energy = np.mean(np.square(padded, dtype=np.float64), axis=1)
    loud = np.flatnonzero(energy >= energy.max() * 10 ** (SOUND_DB / 10))
    return float(loud[0] * HOP_SAMPLES / SAMPLE_RATE), float((loud[-1] + 1) * HOP_SAMPLES / SAMPLE_RATE)
