"""Where a student is tried: as recorded, in noise, in rooms; clips, words and hours alike."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spaces.errors import InputError
from trainables.audio.disturbance import coloured_noise, generated_room, in_room, recorded_room, recordings
from trainables.audio.frontend import CLIP_SAMPLES, SILENT_RMS, Samples, read_audio, resampled

SNR_DB = (20, 10, 5, 0)


@dataclass(frozen=True)
class Condition:
    """Noise at a ratio of signal to noise, a room, or neither."""

    name: str
    snr_db: float | None = None
    room: bool = False


AS_RECORDED = Condition("as recorded")
CONDITIONS = (
    AS_RECORDED,
    *(Condition(f"noise at {snr_db} dB", snr_db) for snr_db in SNR_DB),
    Condition("in a room", room=True),
)


class Scenery:
    """Puts what is heard under a condition; the same names always under the same noise and in the same room.

    Args:
        noise, rir: files or folders of noise and of room responses; where none are given, both are generated, as for
            the views of training.
        seed: of which, where they begin, and what is generated.

    Raises:
        InputError: every path that is missing, empty or unreadable.
    """

    def __init__(self, noise: Sequence[Path] = (), rir: Sequence[Path] = (), seed: int = 0) -> None:
        noises, noise_faults = recordings(noise, "--noise")
        rooms, room_faults = recordings(rir, "--rir")
        if noise_faults or room_faults:
            raise InputError(noise_faults + room_faults)
        self._noise = list(noises.values())
        self._rooms = list(rooms.values())
        self._seed = seed

    def scene(self, samples: Samples, name: str, condition: Condition, rms: float) -> Samples:
        """Samples (n,) in noise, its level relative to ``rms``, or in a room."""
        generator = self._generator(name, condition)
        if condition.room:
            return in_room(samples, self._room(generator))
        return self._in_noise(samples, condition, rms, generator)

    def hours(self, pieces: Iterator[Samples], name: str, condition: Condition) -> Iterator[Samples]:
        """A recording in pieces; the ratio of signal to noise holds for each piece, the room for all."""
        generator = self._generator(name, condition)
        response = self._room(generator) if condition.room else None
        before = np.zeros(CLIP_SAMPLES, np.float32)
        for piece in pieces:
            if response is None:
                yield self._in_noise(piece, condition, _rms(piece), generator)
            else:
                # What was heard before still sounds in the room.
                heard = np.concatenate([before, piece])
                yield in_room(heard, response)[len(before) :]
                before = heard[-CLIP_SAMPLES:]

    def _in_noise(self, samples: Samples, condition: Condition, rms: float, generator: np.random.Generator) -> Samples:
        if condition.snr_db is None:
            return samples
        noise = self._some_noise(len(samples), generator)
        return samples + noise * np.float32(rms / max(_rms(noise), SILENT_RMS) * 10 ** (-condition.snr_db / 20))

    def _some_noise(self, n_samples: int, generator: np.random.Generator) -> Samples:
        """(n_samples,) of a recording from anywhere in it on, over and over, or generated."""
        if self._noise:
            noise = resampled(*read_audio(self._noise[generator.integers(len(self._noise))]))
            noise = np.resize(np.roll(noise, -int(generator.integers(len(noise)))), n_samples)
            if _rms(noise) > SILENT_RMS:
                return noise
        # An odd length has no spectrum of its own.
        return coloured_noise(generator, n_samples + n_samples % 2)[:n_samples]

    def _room(self, generator: np.random.Generator) -> Samples:
        if not self._rooms:
            return generated_room(generator)
        return recorded_room(self._rooms[generator.integers(len(self._rooms))])

    def _generator(self, name: str, condition: Condition) -> np.random.Generator:
        digest = hashlib.sha256(f"{self._seed}:{condition.name}:{name}".encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:16]))


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
