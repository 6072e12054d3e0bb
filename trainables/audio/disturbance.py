"""What gets between a speaker and a microphone: recorded noise and rooms, or generated ones."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.fft
import soundfile

from spaces.errors import Fault, InputError
from trainables.audio.entries import named
from trainables.audio.folders import audio_files
from trainables.audio.frontend import CLIP_SAMPLES, CLIP_SECONDS, SAMPLE_RATE, Samples, mono, resampled

RT60_SECONDS = (0.15, 0.6)
DIRECT_TO_REVERBERANT_DB = (0.0, 12.0)


def recordings(paths: Sequence[Path], key: str) -> tuple[dict[str, Path], list[Fault]]:
    """The audio files in ``paths`` (files or folders) by the SHA-256 of their bytes, sorted by it, and faults.

    Args:
        key: the setting that names the paths, for the faults.
    """
    found: dict[str, Path] = {}
    faults: list[Fault] = []
    for path in paths:
        files = [path] if path.is_file() else audio_files(path) if path.is_dir() else []
        if not files:
            remedy = "holds no WAV, FLAC, OGG or MP3 file" if path.is_dir() else "no such file or folder"
            faults.append(Fault(str(path), key, None, f"{remedy}; correct the path, or leave it out"))
        unreadable = [file for file in files if not _is_audio(file)]
        if unreadable:
            faults.append(Fault(str(path), key, None, f"cannot be read: {named(unreadable)}; repair or remove them"))
        found |= {_digest(file): file for file in files if file not in unreadable}
    return dict(sorted(found.items())), faults


def recorded_noise(path: Path, at: float) -> Samples:
    """1.5 s of a recording, (24000,) at 16 kHz; a shorter one is repeated.

    Args:
        at: where it starts, in [0, 1) of where it can.
    """
    facts = soundfile.info(path)
    n_wanted = round(CLIP_SECONDS * facts.samplerate)
    start = int(at * (max(facts.frames - n_wanted, 0) + 1))
    channels, rate = _channels(path, start, n_wanted)
    return np.resize(resampled(mono(channels), rate), CLIP_SAMPLES)


def recorded_room(path: Path) -> Samples:
    """A room response at 16 kHz from its direct sound on, at most 1.5 s, its first channel, its peak at 1.

    What comes before the direct sound is delay, which would shift the clip.
    """
    channels, rate = _channels(path)
    response = resampled(np.ascontiguousarray(channels[:, 0]), rate)
    peak = int(np.abs(response).argmax())
    response = response[peak : peak + CLIP_SAMPLES]
    return response / response[0] if response[0] else np.ones(1, np.float32)


def coloured_noise(generator: np.random.Generator, n_samples: int = CLIP_SAMPLES) -> Samples:
    """(n_samples,) Gaussian noise whose power falls with frequency to an exponent drawn from 0 (white) to 2 (brown).

    By its spectrum: Timmer and Koenig 1995, "On generating power law noise".
    """
    exponent = generator.uniform(0.0, 2.0)
    bands = np.arange(1, n_samples // 2 + 1, dtype=np.float32)
    parts = generator.standard_normal((2, len(bands)), dtype=np.float32) * bands ** np.float32(-exponent / 2)
    spectrum = np.concatenate([np.zeros(1, np.complex64), parts[0] + 1j * parts[1]])
    return np.asarray(scipy.fft.irfft(spectrum, n_samples), dtype=np.float32)


def generated_room(generator: np.random.Generator) -> Samples:
    """A room response: direct sound, then noise that decays exponentially, 60 dB over a drawn time.

    Moorer 1979, "About this reverberation business". The reverberation time is drawn from 0.15 to 0.6 s
    (small to large living rooms), the direct sound's energy from 0 to 12 dB over the tail's.
    """
    rt60_seconds = generator.uniform(*RT60_SECONDS)
    ratio_db = generator.uniform(*DIRECT_TO_REVERBERANT_DB)
    seconds = np.arange(int(rt60_seconds * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE
    tail = generator.standard_normal(len(seconds), dtype=np.float32) * 10 ** (-3 * seconds / np.float32(rt60_seconds))
    tail *= np.float32(10 ** (-ratio_db / 20)) / np.linalg.norm(tail)
    tail[0] = 1.0
    return np.asarray(tail, dtype=np.float32)


def in_room(samples: Samples, response: Samples) -> Samples:
    """(n,) heard through a room response (m,): the first n samples of their convolution."""
    n_fft = scipy.fft.next_fast_len(len(samples) + len(response) - 1, real=True)
    spectrum = scipy.fft.rfft(samples, n_fft) * scipy.fft.rfft(response, n_fft)
    return np.asarray(scipy.fft.irfft(spectrum, n_fft)[: len(samples)], dtype=np.float32)


def _is_audio(path: Path) -> bool:
    try:
        return soundfile.info(path).frames > 0
    except (soundfile.LibsndfileError, TypeError):
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _channels(path: Path, start: int = 0, n_samples: int = -1) -> tuple[Samples, int]:
    """(n, channels) of a recording, and its rate in Hz; damage past its header shows only here.

    Raises:
        InputError: it cannot be decoded, or holds samples that are not finite numbers.
    """
    try:
        channels, rate = soundfile.read(path, n_samples, start, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise InputError(Fault(str(path), "", None, f"cannot be read: {error.error_string} Remove it")) from error
    if not np.isfinite(channels).all():
        raise InputError(Fault(str(path), "", None, "holds samples that are not finite numbers; remove it"))
    return np.asarray(channels, dtype=np.float32), int(rate)
