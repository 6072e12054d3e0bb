"""What a student does on a stream, as a metric of its epochs: measured in some, standing between them.

An hour of stream has 36,000 windows, more than many data sets have clips, so a run measures in its first epoch, in
every so many after it, and in its last. How many follows from counts alone, never from a clock: a run that is
repeated measures in the same epochs.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spaces.sections import Objective
from trainables.stream.heard import HeardStream
from trainables.stream.judge import probabilities

SHARE = 0.1
"""Of the time of a run's epochs that measuring may take."""
WINDOW_COST = 0.35
"""What a window costs of what training on a clip does. Measured by benchmarks/stream_objective.py: 0.26 to 0.32, by
student."""
METRICS = ("stream_frr_at_fah", "stream_threshold", "stream_release", "stream_epoch")


def epochs_due(interval: int, n_epochs: int) -> list[int]:
    """The epochs in which a run of ``n_epochs`` measures: the first, each ``interval``-th, the last."""
    return sorted({1, *range(interval, n_epochs + 1, interval), n_epochs})


def affordable_interval(n_windows: int, n_clips: int, n_epochs: int) -> int | None:
    """The fewest epochs between two measurings with which they take a tenth of the training's time, by counts.

    Args:
        n_clips: of an epoch of training.

    Returns:
        ``None`` where even two measurings, in the first and the last epoch, take more.
    """
    most = SHARE * n_epochs / measuring_costs(n_windows, n_clips)
    return next((k for k in range(1, n_epochs + 1) if len(epochs_due(k, n_epochs)) <= most), None)


def measuring_costs(n_windows: int, n_clips: int) -> float:
    """How many epochs' time one measuring takes, by counts."""
    return WINDOW_COST * n_windows / n_clips


@dataclass(frozen=True)
class StreamEpochs:
    """Measures a run on a stream.

    Attributes:
        due: the epochs in which it does.
        per_hour: false accepts an hour at which the detector is read.
    """

    stream: HeardStream
    due: frozenset[int]
    per_hour: float

    @classmethod
    def of(cls, stream: HeardStream, objective: Objective, n_clips: int, n_epochs: int) -> "StreamEpochs":
        """Of a run of ``n_epochs`` over ``n_clips`` each.

        Raises:
            ValueError: the stream is too long to be measured within a tenth of the training, and no interval is given.
        """
        interval = objective.stream_epochs or affordable_interval(stream.n_windows, n_clips, n_epochs)
        if interval is None:
            raise ValueError(f"{stream.n_windows} windows are too many for {n_epochs} epochs of {n_clips} clips; set "
                             "objective.stream_epochs")  # fmt: skip
        return cls(stream, frozenset(epochs_due(interval, n_epochs)), objective.false_accepts_per_hour)

    def metrics(
        self, epoch: int, classify: Callable[[Tensor], Tensor], before: Mapping[str, float], batch_size: int,
        device: torch.device,
    ) -> dict[str, float]:  # fmt: skip
        """The metrics of an epoch: measured, or those of the last epoch that was.

        Args:
            classify: (batch, 1, 64, 151) on ``device`` to logits (batch, 2).
            before: the result of the epoch before, whose ``val_stream_*`` stand.

        Raises:
            FloatingPointError: a score is not finite.
        """
        if epoch not in self.due:
            return {name: before[f"val_{name}"] for name in METRICS}
        scores = _scores(map(classify, self.stream.mels(device, batch_size)))
        session = self.stream.session(scores)
        threshold = session.threshold_for(self.per_hour)
        misses = session.misses(session.tally(threshold))
        assert misses is not None  # there are wake words, in the recordings or apart
        return dict(
            zip(METRICS, (misses.share, threshold, session.at(threshold).hysteresis_low, float(epoch)), strict=True)
        )


def _scores(logits: Iterable[Tensor]) -> np.ndarray:
    # On the CPU in one step: a GPU is waited for once.
    found = probabilities(torch.cat(list(logits)).cpu())
    if n_wrong := int(np.sum(~np.isfinite(found))):
        raise FloatingPointError(f"{n_wrong} of {len(found)} scores on the stream are not finite; the student diverged")
    return found
