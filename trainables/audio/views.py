"""Views: seeded augmentations of a clip, the same for teacher and student, whenever and wherever made.

A view is what the front-end would deliver of the same words said elsewhere: a little earlier or later
(shift), in a room, with noise, at another distance from a microphone that clips at full scale (gain). The
level comes last and is the front-end's own, RMS 0.3 and ±1, since whatever reaches the models goes through
it. So gain is heard as clipping alone. A level that only the teacher's waveform carried, and the student's
normalised log-mel did not, would change the teacher's answer for no reason that the student can hear.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spaces.errors import InputError
from spaces.sections import Views, here
from trainables.audio.disturbance import (
    coloured_noise,
    generated_room,
    in_room,
    recorded_noise,
    recorded_room,
    recordings,
)
from trainables.audio.frontend import CLIP_SAMPLES, SAMPLE_RATE, SILENT_RMS, Samples, levelled

# Goes up with every change that makes other samples from the same settings: old corpora are then not reused.
VERSION = 1


@dataclass(frozen=True)
class _Chances:
    """What decides a view, each uniform in [0, 1).

    All are drawn for every view, so that a changed probability or range leaves the other decisions alone.
    """

    shift: float
    gain: float
    noise: float
    snr: float
    noise_file: float
    noise_start: float
    room: float
    room_file: float


class ViewMaker:
    """Makes view ``k`` of any clip; keeps no state between views and reads recordings as they are needed.

    Raises:
        InputError: every noise or room path that is missing, empty or unreadable.
    """

    def __init__(self, views: Views) -> None:
        self.views = views
        self._noise, noise_faults = recordings([*map(here, views.noise)], "data.views.noise")
        self._rooms, room_faults = recordings([*map(here, views.rir)], "data.views.rir")
        if noise_faults or room_faults:
            raise InputError(noise_faults + room_faults)
        self._noise_files: list[Path] = list(self._noise.values())
        self._room_files: list[Path] = list(self._rooms.values())

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of all that views hang on but the clip: settings, recordings' content, this code's version.

        Where recordings lie does not count.
        """
        settings = self.views.model_dump(mode="json", exclude={"noise", "rir"})
        recorded = {"version": VERSION, "noise": list(self._noise), "rir": list(self._rooms)}
        return hashlib.sha256(json.dumps(settings | recorded, sort_keys=True).encode()).hexdigest()

    def view(self, samples: Samples, clip_hash: str, k: int) -> Samples:
        """View ``k`` of a clip: (24000,) -> (24000,) float32; view 0 is the clip itself.

        Args:
            samples: as `frontend.conform` makes them.
            clip_hash: the clip's content; with ``k`` and ``views.seed`` it decides everything.
        """
        if samples.shape != (CLIP_SAMPLES,):
            raise ValueError(f"samples have shape {samples.shape}; a clip has ({CLIP_SAMPLES},)")
        if k == 0:
            return samples
        generator = self._generator(clip_hash, k)
        chances = _Chances(*generator.random(8))
        # Rooms and noise draw on generators of their own, so that one does not move the other.
        room_generator, noise_generator = generator.spawn(2)
        scene = self._shifted(samples, chances)
        if chances.room < self.views.rir_probability:
            scene = in_room(scene, self._room(chances, room_generator))
        # A room response has no level of its own, and gain is relative to the front-end's.
        scene = levelled(scene)
        if chances.noise < self.views.noise_probability:
            scene = self._with_noise(scene, chances, noise_generator)
        gain_db = _between(self.views.gain_db, chances.gain)
        return levelled(np.clip(scene * np.float32(10 ** (gain_db / 20)), -1.0, 1.0))

    def _generator(self, clip_hash: str, k: int) -> np.random.Generator:
        # hashlib and not hash(): Python salts the latter, differently in each process.
        digest = hashlib.sha256(f"{self.views.seed}:{clip_hash}:{k}".encode()).digest()
        return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16])))

    def _shifted(self, samples: Samples, chances: _Chances) -> Samples:
        """Later or earlier by up to ``shift_ms``, zeros where nothing was recorded."""
        largest = self.views.shift_ms * SAMPLE_RATE / 1000
        shift = round(_between((-largest, largest), chances.shift))
        moved = np.zeros_like(samples)
        if shift >= 0:
            moved[shift:] = samples[: CLIP_SAMPLES - shift]
        else:
            moved[:shift] = samples[-shift:]
        return moved

    def _room(self, chances: _Chances, generator: np.random.Generator) -> Samples:
        if not self._room_files:
            return generated_room(generator)
        return recorded_room(self._room_files[int(chances.room_file * len(self._room_files))])

    def _with_noise(self, scene: Samples, chances: _Chances, generator: np.random.Generator) -> Samples:
        """The scene with noise at the drawn ratio of RMS, both over the whole clip."""
        noise = np.zeros_like(scene)
        if self._noise_files:
            path = self._noise_files[int(chances.noise_file * len(self._noise_files))]
            noise = recorded_noise(path, chances.noise_start)
        # Recordings have silent stretches; noise that was asked for is then generated.
        if _rms(noise) <= SILENT_RMS:
            noise = coloured_noise(generator)
        snr_db = _between(self.views.snr_db, chances.snr)
        return scene + noise * np.float32(_rms(scene) / _rms(noise) * 10 ** (-snr_db / 20))


def _between(bounds: tuple[float, float], share: float) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * share


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
