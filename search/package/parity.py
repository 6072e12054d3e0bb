"""Whether the files say what the student said: ONNX beside torch, int8 beside float."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from search.package.clips import ClipSet
from search.package.figures import pauc
from search.package.onnx_student import OnnxStudent
from search.screen.steps import Tell
from trainables.audio.check import LoadedClip
from trainables.metrics import PAUC_FPR
from trainables.students import Student

FLOAT_TOLERANCE = 1e-4  # of a logit
INT8_TOLERANCE = 0.01
N_COMPARED = 128
CHUNK = 256  # clips in memory at once, 24 MB


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
    def measure(
        cls, student: Student, log_mel: OnnxStudent, audio: OnnxStudent, clips: Sequence[LoadedClip]
    ) -> "FloatParity":
        """Of up to 128 clips, evenly spread; torch hears them by way of torchaudio."""
        chosen = np.unique(np.linspace(0, len(clips) - 1, N_COMPARED).astype(int))
        some = ClipSet.read([clips[i] for i in chosen])
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
        if not (self.log_mel <= FLOAT_TOLERANCE and self.audio <= FLOAT_TOLERANCE):
            raise ParityError(
                f"a logit is {self.log_mel:.2g} (from log-mel) and {self.audio:.2g} (from audio) off torch's, where "
                f"{FLOAT_TOLERANCE:g} is tolerated; this onnxruntime or torch cannot be trusted with this student"
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
    """What float and int8 say of a split's clips.

    Attributes:
        float_, int8: (clips,) probabilities of the wake word.
        labels: (clips,), 1 for the wake word.
        speakers: of each clip, where known.
    """

    float_: NDArray[np.float64]
    int8: NDArray[np.float64]
    labels: NDArray[np.int64]
    speakers: list[str | None]

    @classmethod
    def of(cls, log_mel: OnnxStudent, int8: OnnxStudent, clips: Sequence[LoadedClip], tell: Tell) -> "SplitScores":
        """Both models' scores of every clip.

        Args:
            tell: told of (clips done, clips in all).
        """
        told = []
        for start in range(0, len(clips), CHUNK):
            mels = ClipSet.read(clips[start : start + CHUNK]).log_mel()
            told.append((log_mel.scores(mels), int8.scores(mels)))
            tell(min(start + CHUNK, len(clips)), len(clips))
        float_, quantised = (np.concatenate(scores) for scores in zip(*told, strict=True))
        labels = np.array([loaded.clip.label for loaded in clips])
        return cls(float_, quantised, labels, [loaded.clip.speaker for loaded in clips])


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
