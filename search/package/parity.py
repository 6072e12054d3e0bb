"""Whether the files say what the student said: ONNX beside torch, int8 beside float."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from search.package.clips import ClipSet
from search.package.figures import pauc
from search.package.onnx_student import OnnxStudent
from trainables.metrics import PAUC_FPR
from trainables.students import Student

FLOAT_TOLERANCE = 1e-4  # of a logit, or of the largest where that is above 1: a float32 has 7 digits
INT8_TOLERANCE = 0.01
N_COMPARED = 128


class ParityError(RuntimeError):
    """ONNX does not say what torch says; nothing is shipped."""


@dataclass(frozen=True)
class FloatParity:
    """The largest difference of a logit from torch's, over validation clips, and torch's largest logit."""

    log_mel: float
    audio: float
    largest: float
    n_clips: int

    @classmethod
    def measure(cls, student: Student, log_mel: OnnxStudent, audio: OnnxStudent, clips: ClipSet) -> "FloatParity":
        """Of up to 128 clips, evenly spread; torch hears them by way of torchaudio."""
        chosen = np.unique(np.linspace(0, len(clips.labels) - 1, N_COMPARED).astype(int))
        some = ClipSet(clips.audio[chosen], clips.labels[chosen], [clips.speakers[i] for i in chosen])
        mels = some.log_mel()
        with torch.inference_mode():
            told = student(torch.from_numpy(mels)).numpy()
        from_mel, from_audio = (_furthest(told, each) for each in (log_mel.logits(mels), audio.logits(some.audio)))
        return cls(from_mel, from_audio, largest=float(np.abs(told).max()), n_clips=len(chosen))

    def check(self) -> None:
        """Let nothing pass that is further from torch than 1e-4, NaN included.

        Raises:
            ParityError: says how far.
        """
        tolerated = FLOAT_TOLERANCE * max(1.0, self.largest)
        if not (self.log_mel <= tolerated and self.audio <= tolerated):
            raise ParityError(
                f"a logit is {self.log_mel:.2g} (from log-mel) and {self.audio:.2g} (from audio) off torch's where "
                f"{tolerated:.2g} is tolerated; the installed onnxruntime or torch cannot be trusted with this student"
            )


@dataclass(frozen=True)
class Int8Parity:
    """What int8 costs: pAUC in float and in int8, on validation and test, and the share of clips decided alike."""

    val_float: float
    val_int8: float
    test_float: float
    test_int8: float
    decided_alike: float
    pair_points: float
    """Points of pAUC that one wake word and one other clip in another order are worth, on the smaller split."""

    @property
    def within(self) -> bool:
        """Whether int8 is at most one point of pAUC below float on both splits."""
        return min(self.val_int8 - self.val_float, self.test_int8 - self.test_float) >= -INT8_TOLERANCE

    def __str__(self) -> str:
        change = f"{100 * (self.val_int8 - self.val_float):+.2f} points of pAUC on validation clips"
        change += f", {100 * (self.test_int8 - self.test_float):+.2f} on test clips"
        if self.within:
            return change
        told = f"{change}: more than one point is lost, so the float model is the one to ship"
        few = f" (but these are few clips: two of them in another order are worth {self.pair_points:.1f} points)"
        return told + few * (self.pair_points > 100 * INT8_TOLERANCE)


@dataclass(frozen=True)
class SplitScores:
    """What float and int8 say of a split's clips: (clips,) probabilities of the wake word each, and (clips,) labels."""

    float_: NDArray[np.float64]
    int8: NDArray[np.float64]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, log_mel: OnnxStudent, int8: OnnxStudent, clips: ClipSet) -> "SplitScores":
        mels = clips.log_mel()
        return cls(log_mel.scores(mels), int8.scores(mels), clips.labels)


def int8_parity(val: SplitScores, test: SplitScores, threshold: float) -> Int8Parity:
    alike = np.concatenate([(each.float_ > threshold) == (each.int8 > threshold) for each in (val, test)])
    (val_float, val_int8), (test_float, test_int8) = (
        (pauc(each.float_, each.labels), pauc(each.int8, each.labels)) for each in (val, test)
    )
    n_pairs = min(PAUC_FPR * np.sum(each.labels == 0) * np.sum(each.labels == 1) for each in (val, test))
    points = 100 * min(1.0, float(1 / n_pairs))
    return Int8Parity(val_float, val_int8, test_float, test_int8, float(alike.mean()), points)


def _furthest(logits: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.abs(logits - other).max())
