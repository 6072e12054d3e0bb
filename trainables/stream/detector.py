"""When a detector fires, from a score every 100 ms: votes, hysteresis and cooldown, as the platform has them.

The platform's ``StreamingDetector`` with a ``streaming`` section (snapshot 6687c69): it fires when most of the last
``smoothing_window`` scores reach ``hysteresis_high``, then hears nothing for ``cooldown_ms``, and may fire again after
most of the last scores have been under ``hysteresis_low``.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from spaces.trial import Section

Floats = NDArray[np.float64]
FRAME_MS = 10


class Streaming(Section):
    """The platform's ``streaming`` section, with its defaults; ``hop_ms`` is its window processor's."""

    hysteresis_high: float = Field(0.7, gt=0, description="probability that a score must reach to count for firing")
    hysteresis_low: float = Field(0.3, ge=0, le=1, description="probability under which a score counts for release")
    smoothing_window: int = Field(5, ge=1, description="scores that vote; most of them decide")
    cooldown_ms: int = Field(500, ge=0, description="how long it is deaf after it fired, ms")
    hop_ms: int = Field(100, ge=FRAME_MS, le=1500, description="time between two scores, a multiple of 10 ms")

    @field_validator("hop_ms")
    @classmethod
    def _whole_frames(cls, hop_ms: int) -> int:
        if hop_ms % FRAME_MS:
            raise ValueError(f"must be a multiple of {FRAME_MS}, the step of the log-mel; choose {hop_ms // 10 * 10}")
        return hop_ms

    @model_validator(mode="after")
    def _low_is_below_high(self) -> Self:
        if self.hysteresis_low > self.hysteresis_high:
            raise ValueError("hysteresis_low is above hysteresis_high, so that it would never stay active; lower it")
        return self

    @property
    def n_votes(self) -> int:
        """How many of the last scores must agree."""
        return self.smoothing_window // 2 + 1

    @property
    def cooldown_steps(self) -> int:
        """Scores that go by before it hears again."""
        return -(-self.cooldown_ms // self.hop_ms)

    def at(self, threshold: float) -> "Streaming":
        """The same with another ``hysteresis_high``; ``hysteresis_low`` stays, but never above it."""
        low = min(self.hysteresis_low, threshold)
        return self.model_copy(update={"hysteresis_high": threshold, "hysteresis_low": low})


class Votes(NamedTuple):
    """What decides at each step, (steps,) each: it can fire where ``on`` reaches the high threshold, is released where
    ``off`` is under the low one."""

    on: Floats
    off: Floats

    @classmethod
    def of(cls, scores: Floats, streaming: Streaming) -> "Votes":
        """At least ``n_votes`` of the last scores reach a threshold exactly where the ``n_votes``-th largest does.

        Args:
            scores: (steps,), of one recording, in order.
        """
        return cls(_ranked(scores, streaming, -np.inf), -_ranked(-scores, streaming, -np.inf))


def _ranked(scores: Floats, streaming: Streaming, nothing: float) -> Floats:
    """The ``n_votes``-th largest of the last scores at each step; ``nothing`` stands for scores before the first."""
    width = streaming.smoothing_window
    padded = np.concatenate([np.full(width - 1, nothing), scores])
    recent = np.lib.stride_tricks.sliding_window_view(padded, width)
    return np.partition(recent, width - streaming.n_votes, axis=1)[:, width - streaming.n_votes]


def detections(votes: Votes, streaming: Streaming) -> list[int]:
    """The steps at which the detector fires, from a fresh start.

    As many turns of a loop as it fires, whatever the length, so that a sweep of thresholds over hours is cheap.
    """
    ready = np.flatnonzero(votes.on >= streaming.hysteresis_high)
    released = np.flatnonzero(votes.off < streaming.hysteresis_low)
    found: list[int] = []
    step = 0
    while (at := int(np.searchsorted(ready, step))) < len(ready):
        found.append(int(ready[at]))
        heard = found[-1] + max(streaming.cooldown_steps, 1)
        after = int(np.searchsorted(released, heard))
        if after == len(released):
            break
        step = int(released[after]) + 1
    return found
