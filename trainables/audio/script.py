"""The script of a synthesised set: what is asked for, what may be said in which split, and by whom."""

import math
import os
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import Field

from spaces.errors import COMMAND_LINE, Fault, InputError
from spaces.trial import Section
from trainables.audio.entries import SPLITS, Split
from trainables.audio.espeak import Espeak
from trainables.audio.frontend import CLIP_SAMPLES, SAMPLE_RATE
from trainables.audio.near_miss import REFERENCE_ACCENT, PhraseEar, near_misses
from trainables.audio.speakers import accents, speaker_groups
from trainables.audio.speech import Utterance, speak_clip
from trainables.audio.vocabulary import english_sentences, english_words

# What espeak reads as English; it spells other letters out by name.
SPEAKABLE = re.compile(r"[A-Za-zÀ-ɏ0-9' ,.!?&-]*")
SPOKEN_WPM = (120, 220)  # an ordinary range of speech, not espeak's
LONGEST_SPEECH = CLIP_SAMPLES - int(0.04 * SAMPLE_RATE)

T = TypeVar("T")


class SynthesisRequest(Section):
    """A wake-word set to synthesise."""

    phrase: str = Field(max_length=60, description="the wake word")
    out: Path = Field(description="a folder that does not exist yet, or is empty")
    n_positive: int = Field(600, ge=10, le=100_000, description="clips of the phrase")
    n_hard_negative: int = Field(600, ge=0, le=100_000, description="clips of near misses")
    n_negative: int = Field(1200, ge=10, le=100_000, description="clips of other words and sentences")
    hard_negatives: tuple[str, ...] = Field((), description="near misses; none: derived from the phrase")
    negatives: tuple[str, ...] = Field((), description="other words and sentences; none: everyday English")
    val_share: float = Field(0.15, ge=0.05, le=1 / 3, description="of clips, speakers and texts")
    test_share: float = Field(0.15, ge=0.05, le=1 / 3, description="of clips, speakers and texts")
    seed: int = Field(0, ge=0)

    @property
    def counts(self) -> dict[str, int]:
        """Clips by label."""
        return {"positive": self.n_positive, "negative": self.n_negative, "hard_negative": self.n_hard_negative}

    def shares(self, n: int) -> dict[Split, int]:
        """How many of ``n`` each split gets: rounded up for val and test, yet never over a third."""
        val, test = (min(math.ceil(n * share), n // 3) for share in (self.val_share, self.test_share))
        return {"train": n - val - test, "val": val, "test": test}


@dataclass(frozen=True)
class Script:
    """What may be said and by whom, by split; accents are everybody's."""

    texts: dict[str, dict[Split, list[Utterance]]]
    speakers: dict[Split, list[str]]
    accents: list[str]


def write_script(request: SynthesisRequest, espeak: Espeak) -> Script:
    """Texts by label and split, and speakers by split, dealt at random with the request's seed.

    Raises:
        InputError: all faults of the request at once: folder, phrase, texts.
    """
    phrase, hard, other = _one_line(request.phrase), *map(_lines, (request.hard_negatives, request.negatives))
    phrase_faults = _phrase_faults(phrase, espeak)
    given = {"--hard-negative": hard, "--negative": other}
    faults = [*_folder_faults(request.out.expanduser().resolve()), *phrase_faults, *_text_faults(given, espeak)]
    if phrase_faults:
        raise InputError(faults)
    ear = PhraseEar(espeak, phrase, accents(espeak))
    for option, texts in given.items():
        held = ear.holding(texts)
        faults += [
            Fault(COMMAND_LINE, option, text, "is heard as the phrase itself; leave it out")
            for text in texts
            if text in held
        ]
    near = [Utterance(text) for text in hard] or near_misses(espeak, phrase, ear)
    if request.n_hard_negative and not near:
        faults.append(Fault(COMMAND_LINE, "--phrase", phrase, "has no near miss; name some with --hard-negative"))
    if faults:
        raise InputError(faults)
    everyday = [Utterance(text) for text in (*english_words(), *english_sentences())]
    held = ear.holding([said.text for said in everyday])
    # A word that is a near miss too would be in two splits.
    negative = [Utterance(text) for text in other] or [
        said for said in everyday if said.text not in held and said not in near
    ]
    return Script(
        texts={
            "positive": {split: [Utterance(phrase)] for split in SPLITS},
            "negative": deal([(said,) for said in negative], request, "negative"),
            "hard_negative": deal([(said,) for said in near], request, "hard_negative"),
        },
        speakers=deal(speaker_groups(espeak), request, "speakers"),
        accents=accents(espeak),
    )


def deal(groups: Sequence[tuple[T, ...]], request: SynthesisRequest, purpose: str) -> dict[Split, list[T]]:
    """The members of ``groups`` to splits by the request's shares, at random, no group to two splits.

    Fewer than three members go to all splits.
    """
    everyone = [member for group in groups for member in group]
    if len(everyone) < len(SPLITS):
        return {split: list(everyone) for split in SPLITS}
    room = request.shares(len(everyone))
    dealt: dict[Split, list[T]] = {split: [] for split in SPLITS}
    smaller: tuple[Split, ...] = ("test", "val")
    # A group too large for what these two still lack goes to train, which has room for all.
    for group in random.Random(f"{request.seed}/{purpose}").sample(groups, len(groups)):
        fitting = (split for split in smaller if len(dealt[split]) + len(group) <= room[split])
        dealt[next(fitting, "train")].extend(group)
    return dealt


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _lines(texts: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(map(_one_line, texts)))


def _phrase_faults(phrase: str, espeak: Espeak) -> list[Fault]:
    remedy = _why_unspeakable(phrase, espeak)
    if not remedy and len(speak_clip(espeak, phrase, REFERENCE_ACCENT, rate_wpm=SPOKEN_WPM[1])) > LONGEST_SPEECH:
        remedy = "takes over 1.5 s to say, the length of a clip; choose a shorter one"
    return [Fault(COMMAND_LINE, "--phrase", phrase, remedy)] if remedy else []


def _text_faults(given: dict[str, list[str]], espeak: Espeak) -> list[Fault]:
    found = ((option, text, _why_unspeakable(text, espeak)) for option, texts in given.items() for text in texts)
    return [Fault(COMMAND_LINE, option, text, remedy) for option, text, remedy in found if remedy]


def _why_unspeakable(text: str, espeak: Espeak) -> str | None:
    if not SPEAKABLE.fullmatch(text):
        return "holds characters that no English speaker reads out; write it in words, in Latin letters"
    if not any(character.isalnum() for character in text) or not len(speak_clip(espeak, text, REFERENCE_ACCENT)):
        return "says nothing; give words to speak"
    return None


def _folder_faults(out: Path) -> list[Fault]:
    """Why ``out`` cannot become the data set's folder."""
    existing = next(path for path in (out, *out.parents) if path.exists())
    above = out.parent if existing == out else existing
    remedy = None
    if not existing.is_dir():
        remedy = f"{existing} is a file; choose a folder that does not exist yet"
    elif existing == out and any(out.iterdir()):
        remedy = "is not empty; choose a folder that does not exist yet, or empty it"
    elif not os.access(above, os.W_OK | os.X_OK):
        remedy = f"cannot be made, {above} is not writable; choose a folder of your own"
    return [Fault(COMMAND_LINE, "--out", str(out), remedy)] if remedy else []
