"""The clips that packaging needs: the splits as the sweep had them, as raw audio, and what calibrates int8."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from trainables.audio.check import LoadedClip
from trainables.audio.frontend import LogMel, centred, levelled, resampled

N_CALIBRATING = 200
BATCH = 64


@dataclass(frozen=True)
class ClipSet:
    """Some clips.

    Attributes:
        audio: (clips, 24000), 16 kHz, at the level of the recording.
        labels: (clips,), 1 for the wake word.
    """

    audio: NDArray[np.float32]
    labels: NDArray[np.int64]

    @classmethod
    def read(cls, clips: Sequence[LoadedClip]) -> "ClipSet":
        """Decode clips that were checked.

        Raises:
            InputError: a file is no longer what was checked.
        """
        audio = [centred(resampled(*loaded.recording())) for loaded in clips]
        labels = np.array([loaded.clip.label for loaded in clips], np.int64)
        return cls(np.stack(audio), labels)

    def log_mel(self) -> NDArray[np.float32]:
        """(clips, 1, 64, 151), as students are trained on it."""
        level = np.stack([levelled(clip) for clip in self.audio])
        front_end = LogMel()
        with torch.inference_mode():
            mels = [front_end(torch.from_numpy(batch)) for batch in np.array_split(level, -(-len(level) // BATCH))]
        return torch.cat(mels).numpy()


def calibrating(clips: Sequence[LoadedClip]) -> list[LoadedClip]:
    """Up to 200 clips whose activations set the ranges of int8: half of them wake words, as far as there are.

    Args:
        clips: of the training split, in an order of their own, so that the same data give the same clips.
    """
    rng = np.random.default_rng(0)
    words, others = ([loaded for loaded in clips if (loaded.clip.label == 1) is wanted] for wanted in (True, False))
    n_words = min(len(words), max(N_CALIBRATING // 2, N_CALIBRATING - len(others)))
    n_others = min(len(others), N_CALIBRATING - n_words)
    chosen = [words[i] for i in rng.permutation(len(words))[:n_words]]
    return chosen + [others[i] for i in rng.permutation(len(others))[:n_others]]
