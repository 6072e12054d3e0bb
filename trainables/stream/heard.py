"""A stream as every trial of a sweep hears it: its log-mel computed once, kept beside the corpus, mapped by all.

Under ``<corpus>/streams/<fingerprint>/``, with f frames of 10 ms over all tracks and n windows::

    stream.json   detector and tracks; the folder takes its name last, so its presence means whole
    frames.f16    (f, 64) float16, decibels at the recordings' level: 46 MB an hour
    norms.npy     (n, 3) float32, what makes a window of its frames, see `windows.Frames.norms`
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from spaces.errors import Fault, InputError
from trainables.audio.check import LoadedClip
from trainables.audio.frontend import (
    CLIP_SAMPLES,
    CLIP_SECONDS,
    HOP_SAMPLES,
    N_FRAMES,
    N_MELS,
    SAMPLE_RATE,
    Samples,
    resampled,
)
from trainables.stream.detector import Streaming
from trainables.stream.rates import Session, Track
from trainables.stream.recordings import Recording, seconds_of
from trainables.stream.windows import Frames, parts, windows
from trainables.stream.words import amid, silence_seconds, within_silence

VERSION = 2  # raise it when the same recordings would give other arrays
FOLDER, MANIFEST, FRAMES_FILE, NORMS_FILE = "streams", "stream.json", "frames.f16", "norms.npy"
BYTES_A_SECOND = 100 * N_MELS * 2

Floats = NDArray[np.float64]


class Sound(NamedTuple):
    """A track before it is heard: its samples at 16 kHz in pieces, read when they are asked for."""

    name: str
    pieces: Callable[[], Iterable[Samples]]
    words: tuple[tuple[float, float], ...]
    counts_false: bool


@dataclass(frozen=True)
class Recipe:
    """Recordings and wake words: those that the recordings hold, else ``clips`` of the wake word amid their sound.

    Attributes:
        clips: wake words; unused where a recording holds one, for words in their surroundings are the better test.
    """

    recordings: Sequence[Recording]
    clips: Sequence[LoadedClip]
    streaming: Streaming

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits over detector, the recordings' bytes, and the words."""
        digest = hashlib.sha256(f"{VERSION} {self.streaming.model_dump_json()}".encode())
        for recording in self.recordings:
            with recording.path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{recording.name} {content} {recording.words}".encode())
        for clip in self._words_apart:
            digest.update(clip.content_hash.encode())
        return digest.hexdigest()[:16]

    @property
    def seconds(self) -> float:
        """Of the recordings."""
        return sum(recording.seconds for recording in self.recordings)

    @cached_property
    def n_windows(self) -> int:
        """Windows over everything, by lengths alone; at most one a track more than there will be."""
        words = [silence_seconds(self.streaming) + seconds_of(clip.clip.path) for clip in self._words_apart]
        return sum(
            max(int((seconds - CLIP_SECONDS) * 1000 / self.streaming.hop_ms) + 2, 1)
            for seconds in [*(recording.seconds for recording in self.recordings), *words]
        )

    @property
    def _words_apart(self) -> Sequence[LoadedClip]:
        return () if any(recording.words for recording in self.recordings) else self.clips

    def sounds(self) -> Iterator[Sound]:
        """Every track: recordings, then words."""
        for recording in self.recordings:
            yield Sound(recording.name, recording.pieces, recording.words, counts_false=True)
        openings = [next(recording.pieces()) for recording in self.recordings] if self._words_apart else []
        for index, clip in enumerate(self._words_apart):
            turn, which = divmod(index, len(openings))
            word = within_silence(clip.clip.path.name, resampled(*clip.recording()), self.streaming)
            # Each amid another stretch of the recordings' first minutes.
            word = amid(word, np.roll(openings[which], -turn * CLIP_SAMPLES))
            yield Sound(word.name, word.pieces, (word.span,), counts_false=False)


def make_stream(recipe: Recipe, corpus: Path, tell: Callable[[int, int], None] = lambda done, of: None) -> Path:
    """The folder of a stream beside a corpus, made where it is missing.

    Args:
        tell: told of recordings and words done, of how many.

    Raises:
        InputError: the disk has no room for it, or a recording is damaged or a clip no longer what was checked.
    """
    folder = corpus / FOLDER / recipe.fingerprint
    folder.parent.mkdir(exist_ok=True)
    # Hidden, for it is no part of what a corpus shares with other machines.
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if not folder.exists():
            _refuse_a_full_disk(recipe, folder.parent)
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            _write(recipe, partial, tell)
            partial.rename(folder)
    return folder


def _write(recipe: Recipe, folder: Path, tell: Callable[[int, int], None]) -> None:
    streaming, frames = recipe.streaming, Frames()
    hop = streaming.hop_ms * SAMPLE_RATE // 1000
    tracks: list[dict[str, Any]] = []
    norms: list[Tensor] = []
    sounds = list(recipe.sounds())
    with (folder / FRAMES_FILE).open("wb") as file:
        for done, sound in enumerate(sounds):
            tell(done, len(sounds))
            n_samples, n_windows = 0, []

            def counted(pieces: Iterable[Samples]) -> Iterator[Samples]:
                nonlocal n_samples
                for piece in pieces:
                    n_samples += len(piece)
                    yield piece

            for part in parts(counted(sound.pieces()), hop):
                # Rounded first, so that each window is normalised as it will be heard.
                kept = frames.decibels(part, hop).half()
                norms.append(frames.norms(kept.float(), part, hop))
                file.write(kept.T.contiguous().numpy().tobytes())
                n_windows.append(part.n_windows)
            tracks.append({"name": sound.name, "seconds": n_samples / SAMPLE_RATE, "words": sound.words,
                           "counts_false": sound.counts_false, "windows": n_windows})  # fmt: skip
        tell(len(sounds), len(sounds))
    np.save(folder / NORMS_FILE, torch.cat(norms).numpy())
    manifest = {"version": VERSION, "streaming": streaming.model_dump(), "tracks": tracks}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")


def _refuse_a_full_disk(recipe: Recipe, folder: Path) -> None:
    n_bytes, free = recipe.seconds * BYTES_A_SECOND, shutil.disk_usage(folder).free
    if n_bytes > free:
        remedy = f"its log-mel needs {n_bytes / 1e9:.3g} GB and {free / 1e9:.3g} GB are free; free some, set " \
                 "DISTUNE_HOME to another disk, or take a shorter stream"  # fmt: skip
        raise InputError(Fault(str(folder), "objective.stream", None, remedy))


class HeardTrack(NamedTuple):
    """A track without its scores; ``windows`` counts those of each part."""

    name: str
    seconds: float
    words: tuple[tuple[float, float], ...]
    counts_false: bool
    windows: tuple[int, ...]


@dataclass(frozen=True)
class HeardStream:
    """A stream made before; shapes in the module's docstring."""

    streaming: Streaming
    tracks: tuple[HeardTrack, ...]
    frames: NDArray[np.float16]
    norms: NDArray[np.float32]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Memory-map a stream: all trials of a node share one copy.

        Raises:
            FileNotFoundError: it was never made.
        """
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        tracks = tuple(
            HeardTrack(**track | {"words": tuple(map(tuple, track["words"])), "windows": tuple(track["windows"])})
            for track in manifest["tracks"]
        )
        # Copy on write, for torch has no read-only tensors: no write reaches the file.
        frames = np.memmap(folder / FRAMES_FILE, np.float16, mode="c").reshape(-1, N_MELS)
        norms = np.load(folder / NORMS_FILE, mmap_mode="c")
        return cls(Streaming.model_validate(manifest["streaming"]), tracks, frames, norms)

    @property
    def n_windows(self) -> int:
        return len(self.norms)

    def mels(self, device: torch.device, batch_size: int) -> Iterator[Tensor]:
        """Every window in order, in batches of (batch, 1, 64, 151) on ``device``; none spans two parts."""
        hop = self.streaming.hop_ms * SAMPLE_RATE // 1000
        frame = window = 0
        for n_windows in (n for track in self.tracks for n in track.windows):
            n_frames = (n_windows - 1) * hop // HOP_SAMPLES + N_FRAMES
            decibels = torch.from_numpy(self.frames[frame : frame + n_frames]).to(device).float().T.contiguous()
            norms = torch.from_numpy(self.norms[window : window + n_windows]).to(device)
            yield from windows(decibels, norms, hop, batch_size)
            frame, window = frame + n_frames, window + n_windows

    def session(self, scores: Floats) -> Session:
        """The detector over the stream, by the (windows,) probabilities of a student."""
        ends = np.cumsum([sum(track.windows) for track in self.tracks])[:-1]
        return Session(
            [
                Track(track.name, own, track.seconds, track.words, track.counts_false)
                for track, own in zip(self.tracks, np.split(scores, ends), strict=True)
            ],
            self.streaming,
        )
