"""Decoding a whole data set once: what each file's audio is (its hash) and how it sounds (level, clipping)."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from trainables.audio.frontend import Samples, UnreadableAudioError, read_audio

# A converter's full scale, less a little for what dither and lossy codecs do to a flat top.
CLIPPED_LEVEL = 0.999
Progress = Callable[[int, int], None]
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Sound:
    """A readable file.

    Args:
        content_hash: see `content_hash`.
        seconds: length as recorded.
        rms: of full scale, over the whole recording.
        clipped_share: share of samples at full scale.
    """

    content_hash: str
    seconds: float
    rms: float
    clipped_share: float


def content_hash(samples: Samples, rate: int) -> str:
    """SHA-256 of decoded mono audio and its rate, in hex.

    Of the audio and not the file, so that a WAV and its FLAC copy are one clip; before resampling, whose last
    bits may differ between machines.
    """
    digest = hashlib.sha256(f"{rate} Hz float32 ".encode())
    digest.update(samples.astype("<f4").tobytes())
    return digest.hexdigest()


def measure(path: Path) -> Sound | UnreadableAudioError:
    """One file's sound, or why it has none."""
    try:
        samples, rate = read_audio(path)
    except UnreadableAudioError as error:
        return error
    return Sound(
        content_hash=content_hash(samples, rate),
        seconds=len(samples) / rate,
        rms=float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))),
        clipped_share=float(np.mean(np.abs(samples) >= CLIPPED_LEVEL)),
    )


def scan(paths: Iterable[Path], progress: Progress | None = None) -> dict[Path, Sound | UnreadableAudioError]:
    """Every file decoded and measured; samples are not kept.

    Args:
        progress: called with (files done, files in all).
    """
    unique = list(dict.fromkeys(paths))
    sounds = {}
    for n_done, (path, sound) in enumerate(zip(unique, in_order(measure, unique), strict=True), start=1):
        sounds[path] = sound
        if progress is not None:
            progress(n_done, len(unique))
    return sounds


def in_order(work: Callable[[Item], Result], items: Sequence[Item], ahead: int = 256) -> Iterator[Result]:
    """``map(work, items)`` on a thread a core, at most ``ahead`` results waiting: decoding releases the GIL."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        remaining = iter(items)
        waiting: list[Future[Result]] = [pool.submit(work, item) for item in islice(remaining, ahead)]
        while waiting:
            yield waiting.pop(0).result()
            waiting.extend(pool.submit(work, item) for item in islice(remaining, 1))
