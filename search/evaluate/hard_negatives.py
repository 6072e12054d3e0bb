"""False accepts as clips of ``hard_negative/``, for the next sweep to learn from."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import soundfile

from trainables.audio.frontend import CLIP_SAMPLES, SAMPLE_RATE, Samples
from trainables.stream.detector import Streaming
from trainables.stream.rates import Firing
from trainables.stream.recordings import Recording

FOLDER = "hard_negative"


def write_hard_negatives(
    folder: Path, false_accepts: Iterable[Firing], recordings: Mapping[str, Recording], streaming: Streaming
) -> list[Path]:
    """Write each false accept's window, the one of its votes with the highest score: 1.5 s, 16 kHz, FLAC.

    ``FOLDER/hard_negative/<recording>_<milliseconds>.flac``, a folder that a sweep reads as hard negatives; what is
    there stays, and the same false accept is written to the same name.
    """
    starts: dict[str, list[int]] = defaultdict(list)
    for firing in false_accepts:
        starts[firing.track.name].append(_loudest(firing, streaming) * streaming.hop_ms * SAMPLE_RATE // 1000)
    written: list[Path] = []
    if not starts:
        return written
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    for name, begins in starts.items():
        label = Path(name).with_suffix("").as_posix().replace("/", "-")
        for begin, samples in _cut(recordings[name], sorted(set(begins))):
            path = folder / FOLDER / f"{label}_{begin * 1000 // SAMPLE_RATE:09d}.flac"
            _write(path, samples)
            written.append(path)
    return written


def _loudest(firing: Firing, streaming: Streaming) -> int:
    """The step with the highest score among those that voted."""
    first = max(firing.step - streaming.smoothing_window + 1, 0)
    return first + int(np.argmax(firing.track.scores[first : firing.step + 1]))


def _cut(recording: Recording, begins: list[int]) -> Iterable[tuple[int, Samples]]:
    """1.5 s from each sample number on, reading the recording once; what is missing at its end is silence."""
    waiting = list(begins)
    held, first = np.zeros(0, np.float32), 0
    for piece in recording.pieces():
        held = np.concatenate([held, piece])
        while waiting and waiting[0] + CLIP_SAMPLES <= first + len(held):
            begin = waiting.pop(0)
            yield begin, held[begin - first : begin - first + CLIP_SAMPLES]
        if not waiting:
            return
        passed = min(max(waiting[0] - first, 0), len(held))
        held, first = held[passed:], first + passed
    for begin in waiting:
        rest = held[begin - first :]
        yield begin, np.pad(rest, (0, CLIP_SAMPLES - len(rest)))


def _write(path: Path, samples: Samples) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    soundfile.write(temporary, np.clip(samples, -1, 1), SAMPLE_RATE, subtype="PCM_16", format="FLAC")
    temporary.replace(path)
