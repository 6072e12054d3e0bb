"""A data set of any size, written in seconds: noise for the negatives, a tone in it for the wake word."""

from pathlib import Path

import numpy as np

SAMPLE_RATE = 16_000
EVERY_TENTH = {8: "val", 9: "test"}
ROOM_FOR_OFFSETS = 7


def write_clips(folder: Path, n_clips: int) -> Path:
    """``n_clips`` WAV files of a second under ``train``, ``val``, ``test`` (8 : 1 : 1), a quarter of them positive."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 3000, SAMPLE_RATE + ROOM_FOR_OFFSETS * n_clips).astype(np.int16)
    tone = (8000 * np.sin(2 * np.pi * 2000 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)).astype(np.int16)
    header = _header(2 * SAMPLE_RATE)
    for split in ("train", "val", "test"):
        for name in ("positive", "negative"):
            (folder / split / name).mkdir(parents=True)
    for i in range(n_clips):
        split, positive = EVERY_TENTH.get(i % 10, "train"), (i // 10) % 4 == 0
        start = ROOM_FOR_OFFSETS * i
        samples = noise[start : start + SAMPLE_RATE] + (tone if positive else 0)
        path = folder / split / ("positive" if positive else "negative") / f"{i}.wav"
        path.write_bytes(header + samples.astype("<i2").tobytes())
    return folder


def _header(n_bytes: int) -> bytes:
    """Of a WAV file of 16 kHz, mono, 16 bits."""
    numbers = np.array([36 + n_bytes], "<u4").tobytes(), np.array([16], "<u4").tobytes()
    kind = np.array([1, 1], "<u2").tobytes() + np.array([SAMPLE_RATE, 2 * SAMPLE_RATE], "<u4").tobytes()
    kind += np.array([2, 16], "<u2").tobytes()
    return b"RIFF" + numbers[0] + b"WAVEfmt " + numbers[1] + kind + b"data" + np.array([n_bytes], "<u4").tobytes()
