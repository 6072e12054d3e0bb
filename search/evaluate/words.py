"""The wake words of a split as a detector meets them under a condition."""

from collections.abc import Sequence
from typing import NamedTuple

from search.evaluate.clips import ReadClip
from search.evaluate.conditions import Condition, Scenery
from trainables.stream.detector import Streaming
from trainables.stream.rates import Track
from trainables.stream.windows import Listener
from trainables.stream.words import Word, within_silence


class HeardWord(NamedTuple):
    """A word within silence, and the level of its clip, which noise is relative to."""

    word: Word
    rms: float


def words_of(clips: Sequence[ReadClip], streaming: Streaming) -> list[HeardWord]:
    """The wake words among clips."""
    return [
        HeardWord(within_silence(each.clip.path.name, each.samples, streaming), each.rms)
        for each in clips
        if each.clip.label == 1
    ]


def word_track(listener: Listener, heard: HeardWord, scenery: Scenery, condition: Condition) -> Track:
    """The scores over a word under a condition; firing before it is no false accept, for the silence is made."""
    word = heard.word
    scene = scenery.scene(word.samples, word.name, condition, heard.rms)
    scored = listener.score([scene])
    return Track(word.name, scored.scores, scored.seconds, (word.span,), counts_false=False)
