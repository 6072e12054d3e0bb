"""Wake words as a detector meets them: the clips of a split, each with nothing before and after it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from search.evaluate.clips import ReadClip
from search.evaluate.conditions import Condition, Scenery
from trainables.audio.frontend import CLIP_SAMPLES, HOP_SAMPLES, SAMPLE_RATE, Samples
from trainables.stream.detector import Streaming
from trainables.stream.rates import Track
from trainables.stream.windows import Listener

# What is this much softer than the loudest 10 ms of a clip is not the word any more.
SOUND_DB = -30.0


class Word(NamedTuple):
    """A clip at its own length with silence around it, and where in it the word is, seconds."""

    name: str
    samples: Samples
    span: tuple[float, float]
    rms: float


def words_of(clips: Sequence[ReadClip], streaming: Streaming) -> list[Word]:
    """The wake words among clips, each within silence so long that every window over it hears some of the clip.

    Silence is what the front-end puts around a short clip in training, too; noise goes over all of it.
    """
    hop = streaming.hop_ms * SAMPLE_RATE // 1000
    before = CLIP_SAMPLES - hop
    # The last votes over the word are in when as many windows have gone by.
    after = before + streaming.smoothing_window * hop
    found = []
    for each in clips:
        if each.clip.label == 1:
            start, end = sounding(each.samples)
            span = (before / SAMPLE_RATE + start, before / SAMPLE_RATE + end)
            found.append(Word(each.clip.path.name, np.pad(each.samples, (before, after)), span, each.rms))
    return found


def sounding(samples: Samples) -> tuple[float, float]:
    """From where to where something sounds, in seconds: within 30 dB of the loudest 10 ms."""
    padded = np.pad(samples, (0, -len(samples) % HOP_SAMPLES)).reshape(-1, HOP_SAMPLES)
    energy = np.mean(np.square(padded, dtype=np.float64), axis=1)
    loud = np.flatnonzero(energy >= energy.max() * 10 ** (SOUND_DB / 10))
    return float(loud[0] * HOP_SAMPLES / SAMPLE_RATE), float((loud[-1] + 1) * HOP_SAMPLES / SAMPLE_RATE)


def word_track(listener: Listener, word: Word, scenery: Scenery, condition: Condition) -> Track:
    """The scores over a word under a condition; firing before it is no false accept, for the silence is made."""
    scene = scenery.scene(word.samples, word.name, condition, word.rms)
    scored = listener.score([scene])
    return Track(word.name, scored.scores, scored.seconds, (word.span,), counts_false=False)
