"""Long recordings in a folder, and where in them the wake word is said."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from spaces.errors import Fault, refuse
from trainables.audio.entries import named
from trainables.audio.folders import audio_files
from trainables.audio.frontend import SAMPLE_RATE, Samples, UnreadableAudioError, mono

LABELS = "wake_words.csv"
COLUMNS = ("path", "start_seconds", "end_seconds")
PIECE_SECONDS = 60


@dataclass(frozen=True)
class Recording:
    """A file of any length, and the (start, end) of each wake word in it, seconds, in order."""

    path: Path
    name: str
    seconds: float
    words: tuple[tuple[float, float], ...] = ()

    def pieces(self) -> Iterator[Samples]:
        """Mono at 16 kHz in arrays of up to a minute: hours need not fit into memory.

        Raises:
            InputError: it is damaged.
        """
        try:
            with soundfile.SoundFile(self.path) as file:
                yield from _resampled(file)
        except soundfile.LibsndfileError as error:
            refuse([Fault(str(self.path), "", None, f"cannot be read: {error.error_string} Remove it")])
        except UnreadableAudioError as error:
            refuse([Fault(str(self.path), "", None, f"{error}; remove it")])


def find_recordings(folder: Path, option: str = "--stream") -> list[Recording]:
    """The recordings under ``folder``, sorted by name.

    A file ``wake_words.csv`` in it, ``path,start_seconds,end_seconds``, says where the wake word is said; recordings
    that it does not name hold none.

    Args:
        option: names the folder in faults.

    Raises:
        InputError: no folder, no audio in it, files that are none, and all that is wrong with ``wake_words.csv``.
    """
    if not folder.is_dir():
        refuse([Fault(str(folder), option, None, "no such folder; name one with long recordings")])
    found = {path.relative_to(folder).as_posix(): path for path in audio_files(folder)}
    if not found:
        refuse([Fault(str(folder), option, None, "holds no WAV, FLAC, OGG or MP3 file; put long recordings there")])
    seconds = {name: seconds_of(path) for name, path in found.items()}
    faults = []
    if unreadable := [name for name, length in seconds.items() if not length]:
        faults.append(Fault(str(folder), option, None, f"cannot be read: {named(unreadable)}; repair or remove them"))
    words: dict[str, list[tuple[float, float]]] = {}
    if (folder / LABELS).is_file():
        words, wrong = _words(folder / LABELS, seconds)
        faults += wrong
    refuse(faults)
    return [
        Recording(path, name, seconds[name], tuple(sorted(words.get(name, ())))) for name, path in sorted(found.items())
    ]


def _words(path: Path, seconds: dict[str, float]) -> tuple[dict[str, list[tuple[float, float]]], list[Fault]]:
    """Recording to the wake words in it, and a fault a kind of mistake."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", skipinitialspace=True)
            rows = [(reader.line_num, row) for row in reader]
            columns = tuple(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        return {}, [Fault(str(path), "", None, f"is not a CSV file in UTF-8 ({error})")]
    if missing := [name for name in COLUMNS if name not in columns]:
        remedy = f"has no column {' and no column '.join(missing)}; its first line is {','.join(COLUMNS)}"
        return {}, [Fault(str(path), "", None, remedy)]
    words: dict[str, list[tuple[float, float]]] = {}
    lines_at_fault: dict[tuple[str, str], list[int]] = {}
    for line, row in rows:
        name = row["path"].strip()
        span = _span(row["start_seconds"], row["end_seconds"])
        if name not in seconds:
            lines_at_fault.setdefault(("path", "names no recording in this folder"), []).append(line)
        elif span is None or not 0 <= span[0] < span[1] <= seconds[name] + 0.01:
            remedy = "must be numbers, the end after the start and within the recording"
            lines_at_fault.setdefault(("start_seconds, end_seconds", remedy), []).append(line)
        else:
            words.setdefault(name, []).append(span)
    faults = [
        Fault(str(path), column, None, f"{remedy} (line {named(lines)})")
        for (column, remedy), lines in lines_at_fault.items()
    ]
    return words, faults


def _span(start: str, end: str) -> tuple[float, float] | None:
    try:
        return float(start), float(end)
    except ValueError:
        return None


def seconds_of(path: Path) -> float:
    """Length of a file, 0 of one that cannot be read."""
    try:
        facts = soundfile.info(path)
    except (soundfile.LibsndfileError, TypeError):
        return 0.0
    return float(facts.frames / facts.samplerate)


def _resampled(file: soundfile.SoundFile) -> Iterator[Samples]:
    rate = file.samplerate
    resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
    left = file.frames
    while left > 0:
        piece = mono(file.read(PIECE_SECONDS * rate, dtype="float32", always_2d=True))
        # A header may promise more than there is.
        left = left - len(piece) if len(piece) else 0
        if not np.isfinite(piece).all():
            raise UnreadableAudioError("holds samples that are not finite numbers")
        yield piece if rate == SAMPLE_RATE else resampler.resample_chunk(piece, last=left <= 0)
