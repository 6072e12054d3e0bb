"""How well a model tells clips apart, and how sure these clips make one of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.evaluate.conditions import Condition, Scenery
from spaces.errors import COMMAND_LINE, Fault, InputError
from spaces.sections import Data
from trainables.audio.clips import Clip, find_clips, list_entries
from trainables.audio.entries import CLASS_OF_LABEL, Split
from trainables.audio.frontend import Samples, UnreadableAudioError, centred, read_audio, resampled
from trainables.audio.scan import in_order
from trainables.intervals import Estimate, Labels, Scores, bootstrap
from trainables.metrics import evaluate
from trainables.stream.judge import Judge

METRICS = ("pauc", "eer", "f1", "fnr", "fpr", "frr_at_fpr")
FPR = 0.01


@dataclass(frozen=True)
class ReadClip:
    """A clip, and its recording at 16 kHz, (n,), at its own length and level."""

    clip: Clip
    samples: Samples

    @property
    def rms(self) -> float:
        """Of the recording itself, without what fills it up to 1.5 s."""
        return float(np.sqrt(np.mean(np.square(self.samples, dtype=np.float64))))


def read_split(data: Data, split: Split) -> list[ReadClip]:
    """The clips of a split: those that the data bring as such, else those that a sweep over the data would take.

    Raises:
        InputError: faults of the layout, no clips of both classes, or files that cannot be read.
    """
    listing = list_entries(data)
    if listing.faults:
        raise InputError(listing.faults)
    brought = [entry for entry in listing.entries if entry.split == split]
    clips = [Clip(each.path, each.label, split, each.speaker, each.hard) for each in brought]
    clips = clips or [clip for clip in find_clips(data) if clip.split == split]
    faults = [
        Fault(str(data.path), "", None, f"has no {name} clips in {split}; metrics need both classes")
        for label, name in CLASS_OF_LABEL.items()
        if not any(clip.label == label for clip in clips)
    ]
    read: list[ReadClip] = []
    for clip, samples in zip(clips, in_order(_samples, clips), strict=True):
        if isinstance(samples, UnreadableAudioError):
            faults.append(Fault(str(clip.path), "", None, f"cannot be read: {samples}; repair or remove it"))
        else:
            read.append(ReadClip(clip, samples))
    if faults:
        raise InputError(faults)
    return read


def _samples(clip: Clip) -> Samples | UnreadableAudioError:
    try:
        return resampled(*read_audio(clip.path))
    except UnreadableAudioError as error:
        return error


def clip_metrics(
    judge: Judge, clips: Sequence[ReadClip], scenery: Scenery, condition: Condition
) -> dict[str, Estimate]:
    """Metrics under a condition, each with its interval; see `trainables.metrics.evaluate` for what they are.

    Raises:
        InputError: the model says what is no number.
    """
    heard = [scenery.scene(centred(each.samples), each.clip.path.name, condition, each.rms) for each in clips]
    scores = judge.score_clips(np.stack(heard))
    if n_wrong := int(np.sum(~np.isfinite(scores))):
        remedy = f"gives no number for {n_wrong} of {len(scores)} clips; it diverged, or is damaged"
        raise InputError(Fault(COMMAND_LINE, "MODEL", None, remedy))
    return bootstrap(metrics, scores, np.array([each.clip.label for each in clips]), groups_of(clips))


def groups_of(clips: Sequence[ReadClip]) -> NDArray[np.int64]:
    """(clips,) which clips belong together: those of a speaker; one whose speaker is not known is by itself."""
    names = [each.clip.speaker or f"/{index}" for index, each in enumerate(clips)]
    return np.unique(names, return_inverse=True)[1]


def metrics(scores: Scores, labels: Labels) -> dict[str, float]:
    """Those that are told; scores as probabilities and labels are (clips,)."""
    found = evaluate(scores, labels, fpr=FPR, false_accepts_per_hour=1.0)
    return {name: found[name] for name in METRICS}
