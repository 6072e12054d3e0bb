"""From an audio file to what models hear: 1.5 s of 16 kHz mono, and its log-mel."""

from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
import torchaudio
from numpy.typing import NDArray
from torch import Tensor, nn

SAMPLE_RATE = 16_000
CLIP_SECONDS = 1.5
CLIP_SAMPLES = 24_000
TARGET_RMS = 0.3
# Under this the platform takes a clip for silence and leaves it as it is.
SILENT_RMS = 1e-8
N_FFT = 400
HOP_SAMPLES = 160
N_MELS = 64
N_FRAMES = CLIP_SAMPLES // HOP_SAMPLES + 1
TOP_DB = 80.0
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")

Samples = NDArray[np.float32]


class UnreadableAudioError(ValueError):
    """A file that holds no audio: missing, not audio, cut off, empty, or with samples that are not numbers."""


def read_audio(path: Path) -> tuple[Samples, int]:
    """A WAV, FLAC, OGG or MP3 file as mono samples, and its rate in Hz.

    Returns:
        (n,) float32, the mean of the channels, full scale at ±1.

    Raises:
        UnreadableAudioError: the reason in its message, without the path.
    """
    if not path.is_file():
        raise UnreadableAudioError("no such file")
    try:
        channels, rate = soundfile.read(path, dtype="float32", always_2d=True)
    # soundfile meets a headerless .raw with a TypeError.
    except (soundfile.LibsndfileError, TypeError) as error:
        raise UnreadableAudioError(getattr(error, "error_string", str(error)).rstrip(".")) from error
    if not len(channels):
        raise UnreadableAudioError("holds no samples")
    if not np.isfinite(channels).all():
        raise UnreadableAudioError("holds samples that are not finite numbers")
    return mono(channels), int(rate)


def mono(samples: NDArray[np.floating]) -> Samples:
    """(n,) or (n, channels) -> (n,) float32, the mean of the channels."""
    if samples.ndim > 2:
        raise ValueError(f"samples have shape {samples.shape}; give (n,) or (n, channels)")
    mean = samples.mean(axis=1) if samples.ndim == 2 else samples
    return np.ascontiguousarray(mean, dtype=np.float32)


def resampled(samples: Samples, rate: int) -> Samples:
    """(n,) samples at ``rate`` Hz -> (n * 16000 / rate,) at 16 kHz.

    soxr at high quality, as the platform resamples (librosa's default); torchaudio's kernel would take
    gigabytes for a rate that shares no factor with 16,000.
    """
    if rate == SAMPLE_RATE:
        return samples
    return np.asarray(soxr.resample(samples, rate, SAMPLE_RATE, quality="HQ"), dtype=np.float32)


def centred(samples: Samples, n_samples: int = CLIP_SAMPLES) -> Samples:
    """The middle ``n_samples`` of (n,), with as many zeros at each end as are missing, the odd one last."""
    start = max(len(samples) - n_samples, 0) // 2
    middle = samples[start : start + n_samples]
    missing = n_samples - len(middle)
    return np.pad(middle, (missing // 2, missing - missing // 2))


def levelled(samples: Samples) -> Samples:
    """(n,) brought to an RMS of 0.3, then clipped to ±1; silence stays as it is."""
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    scaled = samples * np.float32(TARGET_RMS / rms) if rms > SILENT_RMS else samples
    return np.clip(scaled, -1.0, 1.0)


def conform(samples: NDArray[np.floating], rate: int) -> Samples:
    """Any recording as a clip: mono, 16 kHz, the middle 1.5 s or zero-padded to it, RMS 0.3, within ±1.

    Args:
        samples: (n,) or (n, channels).
        rate: Hz.

    Returns:
        (24000,) float32.
    """
    return levelled(centred(resampled(mono(samples), rate)))


def read_clip(path: Path) -> Samples:
    """A file as a clip: (24000,) float32.

    Raises:
        UnreadableAudioError: see `read_audio`.
    """
    return conform(*read_audio(path))


class LogMel(nn.Module):
    """The platform's log-mel, each clip normalised by its own mean and variance over all bands and frames."""

    def __init__(self) -> None:
        super().__init__()
        self.mel = torchaudio.transforms.MelSpectrogram(
            SAMPLE_RATE, n_fft=N_FFT, win_length=N_FFT, hop_length=HOP_SAMPLES, f_min=0.0, f_max=SAMPLE_RATE / 2,
            n_mels=N_MELS, power=2.0, center=True, pad_mode="reflect", mel_scale="htk", norm=None,
        )  # fmt: skip
        self.decibels = torchaudio.transforms.AmplitudeToDB("power", top_db=TOP_DB)

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, 24000) -> (batch, 1, 64, 151), no unit; silence gives zeros."""
        # Rank 4, because on rank 3 torchaudio counts top_db down from the loudest clip of the batch.
        mel = self.decibels(self.mel(waveform).unsqueeze(1))
        variance, mean = torch.var_mean(mel, dim=(1, 2, 3), correction=0, keepdim=True)
        return (mel - mean) / torch.sqrt(variance + 1e-5)
