"""A wake-word data set out of espeak's voices: what ``distune data synth`` writes."""

import csv
import io
import math
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile
from pydantic import Field

from spaces.errors import COMMAND_LINE, Fault, InputError
from spaces.trial import Section
from trainables.audio.entries import SPLITS, Split
from trainables.audio.espeak import RATE_WPM, Espeak
from trainables.audio.frontend import CLIP_SAMPLES, SAMPLE_RATE, Samples
from trainables.audio.script import LONGEST_SPEECH, SPOKEN_WPM, Script, SynthesisRequest, write_script
from trainables.audio.speech import Utterance, speak_clip

MANIFEST = "manifest.csv"
COLUMNS = ("path", "label", "split", "speaker", "accent", "text", "hard")
SPOKEN_PITCH = (20, 80)
LONGEST_SILENCE = int(0.25 * SAMPLE_RATE)

Progress = Callable[[int, int], None]
T = TypeVar("T")


class SynthesisSummary(Section):
    """What was written."""

    out: Path
    clips: dict[Split, dict[str, int]] = Field(description="clips by split and label")
    speakers: dict[Split, int] = Field(description="speakers by split; none is in two")
    n_accents: int
    near_misses: dict[Split, tuple[str, ...]] = Field(description="texts, or phonemes in [[ ]], by split")
    hours: float


def synthesise(request: SynthesisRequest, progress: Progress | None = None) -> SynthesisSummary:
    """Write a wake-word set: 16 kHz FLAC clips of at most 1.5 s and a CSV manifest.

    ``OUT/{train,val,test}/{positive,negative,hard_negative}/<speaker>_nohash_<n>.flac`` and ``OUT/manifest.csv``.
    A speaker is an espeak variant and speaks in one split only, in any accent; splits also share no near miss and
    no other text, unless fewer than three are given. The same request writes the same bytes.

    Args:
        progress: called after every clip with the number done and the number in all.

    Raises:
        InputError: all faults of the request at once; nothing is left behind, here or where writing fails.
    """
    out = request.out.expanduser().resolve()
    espeak = Espeak()
    script = write_script(request, espeak)
    cells = [(split, label) for split in SPLITS for label in request.counts]
    n_clips = {(split, label): request.shares(request.counts[label])[split] for split, label in cells}
    rows: list[dict[str, str | int]] = []
    n_samples = 0
    with _new_folder(out) as folder:
        for split, label in cells:
            for clip, row in _clips(request, espeak, script, split, label, n_clips[split, label]):
                path = folder / str(row["path"])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(_flac(clip))
                rows.append(row)
                n_samples += len(clip)
                if progress:
                    progress(len(rows), sum(n_clips.values()))
        _write_manifest(folder / MANIFEST, rows)
    return SynthesisSummary(
        out=out,
        clips={split: {label: n_clips[split, label] for label in request.counts} for split in SPLITS},
        speakers={split: len({row["speaker"] for row in rows if row["split"] == split}) for split in SPLITS},
        n_accents=len(script.accents),
        near_misses={split: tuple(said.text for said in script.texts["hard_negative"][split]) for split in SPLITS},
        hours=n_samples / SAMPLE_RATE / 3600,
    )


def _clips(
    request: SynthesisRequest, espeak: Espeak, script: Script, split: Split, label: str, n_clips: int
) -> Iterator[tuple[Samples, dict[str, str | int]]]:
    """The clips of one folder, each with its row of the manifest."""
    draw = random.Random(f"{request.seed}/{split}/{label}")
    texts, speakers = _rounds(script.texts[label][split], draw), _rounds(script.speakers[split], draw)
    for index in range(n_clips):
        utterance, speaker, accent = next(texts), next(speakers), draw.choice(script.accents)
        clip = _clip(espeak, utterance, f"{accent}+{speaker}", draw, label)
        name = speaker.replace(" ", "-")
        yield (
            clip,
            {
                "path": f"{split}/{label}/{name}_nohash_{index:05d}.flac",
                "label": label,
                "split": split,
                "speaker": name,
                "accent": accent,
                "text": utterance.text,
                "hard": int(label == "hard_negative"),
            },
        )


def _rounds(items: Sequence[T], draw: random.Random) -> Iterator[T]:
    """All items in random order, then all in another order, for ever."""
    while items:
        yield from draw.sample(items, len(items))


def _clip(espeak: Espeak, utterance: Utterance, voice: str, draw: random.Random, label: str) -> Samples:
    """One utterance at a random rate and pitch with random silence around it: (n,) at 16 kHz, at most 1.5 s.

    The phrase and its near misses are said faster where they are too long; of what is longer still, and of other
    sentences, a random window is taken.

    Raises:
        InputError: the phrase is too long even at espeak's highest rate.
    """
    rate_wpm, pitch = draw.randint(*SPOKEN_WPM), draw.randint(*SPOKEN_PITCH)
    speech = speak_clip(espeak, utterance, voice, rate_wpm=rate_wpm, pitch=pitch)
    while label != "negative" and len(speech) > LONGEST_SPEECH and rate_wpm < RATE_WPM[1]:
        rate_wpm = min(math.ceil(rate_wpm * 1.05 * len(speech) / LONGEST_SPEECH), RATE_WPM[1])
        speech = speak_clip(espeak, utterance, voice, rate_wpm=rate_wpm, pitch=pitch)
    if label == "positive" and len(speech) > LONGEST_SPEECH:
        raise InputError(Fault(COMMAND_LINE, "--phrase", utterance.text, "takes over 1.5 s to say; shorten it"))
    if len(speech) > CLIP_SAMPLES:
        start = draw.randint(0, len(speech) - CLIP_SAMPLES)
        return speech[start : start + CLIP_SAMPLES]
    before = draw.randint(0, min(LONGEST_SILENCE, CLIP_SAMPLES - len(speech)))
    after = draw.randint(0, min(LONGEST_SILENCE, CLIP_SAMPLES - len(speech) - before))
    return np.pad(speech, (before, after))


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` that takes its place once it is complete, and vanishes where it is not.

    Raises:
        InputError: the disk is full or does not let itself be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
            folder = Path(scratch) / out.name
            folder.mkdir()
            yield folder
            folder.rename(out)
    except OSError as error:
        remedy = f"cannot be written ({error.strerror}); make room or choose another folder"
        raise InputError(Fault(COMMAND_LINE, "--out", str(out), remedy)) from error


def _flac(clip: Samples) -> bytes:
    # In memory first: libsndfile keeps silent about a disk that fills up while it closes a file.
    buffer = io.BytesIO()
    soundfile.write(buffer, clip, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _write_manifest(path: Path, rows: Sequence[dict[str, str | int]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
