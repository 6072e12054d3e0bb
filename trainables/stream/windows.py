"""The windows over a long recording as a student hears them, each frame of the log-mel computed once.

Neighbouring windows of 1.5 s share all but the frames of one hop, so their frames are computed once. What the
front-end does to each clip as a whole comes after: its level becomes a constant in decibels, and floor, range and
normalisation are taken over each window. Two things are not quite those of a window cut out as a clip, which `exact`
makes: the front-end clips samples at a limit that follows from the level of the whole window, here from the level of
the 1.5 s around a sample; and a clip is reflected at its ends, where here the recording goes on.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.audio.frontend import (
    CLIP_SAMPLES,
    HOP_SAMPLES,
    N_FFT,
    N_FRAMES,
    SAMPLE_RATE,
    SILENT_RMS,
    TARGET_RMS,
    TOP_DB,
    LogMel,
    Samples,
    levelled,
)
from trainables.stream.judge import Judge

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

BATCH = 16  # windows at once: with more, what a student makes of them no longer fits the cache
# Windows that begin in one minute are made together.
PART_SAMPLES = 60 * SAMPLE_RATE
AROUND = CLIP_SAMPLES // 2
# AmplitudeToDB's floor of power, 1e-10, which holds for the levelled clip.
FLOOR_DB = -100.0


class Scored(NamedTuple):
    """A recording's scores: probabilities (windows,) of the windows that begin every hop, and its length, seconds."""

    scores: Floats
    seconds: float


class Part(NamedTuple):
    """Part of a recording: windows begin at ``start`` and every hop after it; around are what they share."""

    samples: Samples
    start: int
    n_windows: int


@dataclass(frozen=True)
class Listener:
    """Scores the windows of recordings by one judge.

    Attributes:
        hop_ms: between windows, a multiple of 10.
        exact: cut each window out as a clip of its own, as judges that hear audio need it; some four times as slow.
    """

    judge: Judge
    hop_ms: int = 100
    exact: bool = False

    def score(self, pieces: Iterable[Samples]) -> Scored:
        """Score a recording; one under 1.5 s is filled up with silence.

        Args:
            pieces: its samples at 16 kHz, in order, in arrays of any length.
        """
        n_samples = 0

        def counted() -> Iterator[Samples]:
            nonlocal n_samples
            for piece in pieces:
                n_samples += len(piece)
                yield piece

        hop = self.hop_ms * SAMPLE_RATE // 1000
        make = self._maker()
        scores = [self._scores(make(part, hop)) for part in parts(counted(), hop)]
        return Scored(np.concatenate(scores), n_samples / SAMPLE_RATE)

    @cached_property
    def _frames(self) -> "Frames":
        return Frames()

    def _maker(self) -> Callable[[Part, int], Iterator[Tensor]]:
        if self.judge.hears == "audio":
            return _clips
        return _mels_of_clips if self.exact else self._shared_mels

    def _shared_mels(self, part: Part, hop: int) -> Iterator[Tensor]:
        decibels = self._frames.decibels(part, hop)
        return windows(decibels, self._frames.norms(decibels, part, hop), hop)

    @torch.inference_mode()
    def _scores(self, batches: Iterator[Tensor]) -> Floats:
        return np.concatenate([self.judge.score(batch) for batch in batches])


def parts(pieces: Iterable[Samples], hop: int) -> Iterator[Part]:
    """A recording cut so that each window is in one part, with what lies up to 0.75 s around it."""
    per_part = PART_SAMPLES // hop
    owned = per_part * hop
    n_whole = owned - hop + CLIP_SAMPLES + AROUND
    held, start, n_done = np.zeros(0, np.float32), 0, 0
    for piece in pieces:
        held = np.concatenate([held, piece])
        while len(held) >= start + n_whole:
            yield Part(held[: start + n_whole], start, per_part)
            n_done += per_part
            kept = max(start + owned - AROUND, 0)
            held, start = held[kept:], start + owned - kept
    if not n_done:
        held = np.pad(held, (0, max(CLIP_SAMPLES - len(held), 0)))
    n_left = (len(held) - start - CLIP_SAMPLES) // hop + 1
    if n_left > 0:
        yield Part(held, start, n_left)


def _clips(part: Part, hop: int) -> Iterator[Tensor]:
    """Each window as a clip, at the level of the recording: batches of (batch, 24000)."""
    for first in range(0, part.n_windows, BATCH):
        starts = part.start + hop * np.arange(first, min(first + BATCH, part.n_windows))
        yield torch.from_numpy(np.stack([part.samples[at : at + CLIP_SAMPLES] for at in starts]))


def _mels_of_clips(part: Part, hop: int) -> Iterator[Tensor]:
    """Each window as a clip, through the front-end: batches of (batch, 1, 64, 151)."""
    front_end = LogMel()
    for clips in _clips(part, hop):
        yield front_end(torch.from_numpy(np.stack([levelled(clip) for clip in clips.numpy()])))


class Frames:
    """The frames of the log-mel that the windows of a part share, and what makes each window of them."""

    def __init__(self) -> None:
        self._mel = LogMel().mel
        # What lies around is there already.
        self._mel.spectrogram.center = False

    def decibels(self, part: Part, hop: int) -> Tensor:
        """(64, frames) from ``part.start`` on, at the recording's level, without a floor."""
        samples = _Level(part.samples).clipped()
        n_frames = (part.n_windows - 1) * hop // HOP_SAMPLES + N_FRAMES
        first, last = part.start - N_FFT // 2, part.start + (n_frames - 1) * HOP_SAMPLES + N_FFT // 2
        missing = max(-first, 0), max(last - len(samples), 0)
        # At the recording's own ends, as the front-end does.
        around = np.pad(samples[max(first, 0) : last], missing, mode="reflect")
        power = self._mel(torch.from_numpy(around))
        return 10 * torch.log10(power.clamp(min=1e-20))

    def norms(self, decibels: Tensor, part: Part, hop: int) -> Tensor:
        """(windows, 3): each window's lowest value, mean and inverse deviation, which `windows` takes.

        Floor, range and normalisation are those of `LogMel`. The gain to the level of training shifts all decibels of
        a window alike, so that only the floor notices.

        Args:
            decibels: (64, frames), as `decibels` gives them, in whichever precision they are kept.
        """
        starts = part.start + hop * np.arange(part.n_windows)
        rms = _Level(part.samples).rms(starts, starts + CLIP_SAMPLES)
        gain = np.where(rms > SILENT_RMS, TARGET_RMS / np.maximum(rms, SILENT_RMS), 1.0)
        floor = torch.from_numpy(FLOOR_DB - 20 * np.log10(gain)).float()
        shared = _unfolded(decibels, hop)
        return torch.cat([_norms(shared[at : at + BATCH].float(), floor[at : at + BATCH])
                          for at in range(0, part.n_windows, BATCH)])  # fmt: skip


def windows(decibels: Tensor, norms: Tensor, hop: int, batch_size: int = BATCH) -> Iterator[Tensor]:
    """Batches of (batch, 1, 64, 151), as `LogMel` gives them of clips.

    Args:
        decibels: (64, frames) of a part. norms: (windows, 3). Both as `Frames` gives them, on one device.
    """
    shared = _unfolded(decibels, hop)
    for at in range(0, len(norms), batch_size):
        lowest, mean, scale = norms[at : at + batch_size, :, None, None].unbind(1)
        # Contiguous before anything is computed: all that follows is the faster for it.
        batch = shared[at : at + batch_size].contiguous()
        yield batch.clamp_(min=lowest).sub_(mean).mul_(scale).unsqueeze(1)


def _unfolded(decibels: Tensor, hop: int) -> Tensor:
    """(64, frames) to (windows, 64, 151), a view."""
    return decibels.unfold(1, N_FRAMES, hop // HOP_SAMPLES).permute(1, 0, 2)


def _norms(decibels: Tensor, floor: Tensor) -> Tensor:
    """(batch, 64, 151) and (batch,) to (batch, 3), see `Frames.norms`."""
    lowest = torch.maximum(floor, decibels.amax(dim=(1, 2)) - TOP_DB)
    variance, mean = torch.var_mean(decibels.clamp(min=lowest[:, None, None]), dim=(1, 2), correction=0)
    return torch.stack([lowest, mean, torch.rsqrt(variance + 1e-5)], dim=1)


class _Level:
    """Levels anywhere in samples, from one running sum of squares."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])

    def rms(self, begin: Whole, end: Whole) -> Floats:
        """Of samples from ``begin`` up to ``end``, as far as there are any; both (n,)."""
        begin, end = np.clip(begin, 0, len(self._samples)), np.clip(end, 0, len(self._samples))
        energy = np.maximum(self._energy[end] - self._energy[begin], 0.0)
        return np.sqrt(energy / np.maximum(end - begin, 1))

    def clipped(self) -> Samples:
        """The samples, each within what the front-end would let pass at the level of the 1.5 s around it."""
        middles = np.arange(0, len(self._samples), HOP_SAMPLES) + HOP_SAMPLES // 2
        # A window at the recording's end has a whole 1.5 s, too.
        begin = np.clip(middles - AROUND, 0, max(len(self._samples) - CLIP_SAMPLES, 0))
        rms = self.rms(begin, begin + CLIP_SAMPLES)
        limit = np.where(rms > SILENT_RMS, rms / TARGET_RMS, 1.0).astype(np.float32)
        limits = np.repeat(limit, HOP_SAMPLES)[: len(self._samples)]
        return np.clip(self._samples, -limits, limits)
