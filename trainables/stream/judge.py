"""Who says how likely a clip holds the wake word: a student, or anything else that hears clips."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.audio.frontend import LogMel, levelled
from trainables.students import Student

BATCH = 64


@dataclass(frozen=True)
class Judge:
    """Scores batches.

    Attributes:
        score: what ``hears`` says to the probability of the wake word, (batch,), in double precision.
        hears: the log-mel (batch, 1, 64, 151) of clips, or their audio (batch, 24000) at the level of the recording.
    """

    score: Callable[[Tensor], NDArray[np.float64]]
    hears: Literal["mel", "audio"]

    @torch.inference_mode()
    def score_clips(self, clips: NDArray[np.float32]) -> NDArray[np.float64]:
        """(clips, 24000) at 16 kHz, at any level, to (clips,) probabilities."""
        heard: Iterable[Tensor]
        if self.hears == "audio":
            heard = torch.from_numpy(clips).split(BATCH)
        else:
            heard = map(LogMel(), torch.from_numpy(np.stack([levelled(clip) for clip in clips])).split(BATCH))
        return np.concatenate([self.score(batch) for batch in heard])


def student_judge(student: Student) -> Judge:
    """A student as it is, in evaluation mode, on the CPU."""
    student.eval()

    def score(mel: Tensor) -> NDArray[np.float64]:
        return probabilities(student(mel))

    return Judge(score, "mel")


def probabilities(logits: Tensor) -> NDArray[np.float64]:
    """(batch, classes) to (batch,), of the last class; in double precision sure ones do not become a tie."""
    return logits.double().softmax(dim=1)[:, -1].numpy()
