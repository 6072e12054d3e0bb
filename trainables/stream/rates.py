"""How often a detector fires on recordings where it should not, and where it should."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainables.audio.frontend import CLIP_SECONDS
from trainables.intervals import Rate, Share
from trainables.metrics import SECONDS_PER_HOUR
from trainables.stream.detector import Streaming, Votes, detections

# A word is heard until it has left the window: what fires later fires at something else.
HEARD_SECONDS = CLIP_SECONDS
N_POINTS = 60

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """The scores of one recording, and the wake words in it.

    Attributes:
        scores: (windows,) probabilities.
        words: (start, end) of each, seconds, in order.
        counts_false: whether firing elsewhere is a false accept; not on what was put together of single words.
    """

    name: str
    scores: Floats
    seconds: float
    words: tuple[tuple[float, float], ...] = ()
    counts_false: bool = True

    def times(self, streaming: Streaming) -> Floats:
        """When each score is known: at its window's end, seconds."""
        return CLIP_SECONDS + np.arange(len(self.scores)) * streaming.hop_ms / 1000

    @property
    def negative_seconds(self) -> float:
        """What is left of it beside its wake words, with the time in which they are heard."""
        if not self.counts_false:
            return 0.0
        covered, until = 0.0, 0.0
        for start, end in self.words:
            begin, until_now = max(start, until), min(end + HEARD_SECONDS, self.seconds)
            covered += max(until_now - begin, 0.0)
            until = max(until, until_now)
        return self.seconds - covered


class Firing(NamedTuple):
    """A detection: on which track, at which of its scores."""

    track: Track
    step: int


@dataclass(frozen=True)
class Tally:
    """What a detector did.

    Attributes:
        false: firings where no wake word is.
        n_hit: wake words it fired at.
        delays: from the end of each of these words to the firing, seconds; below 0 where it fired before.
    """

    false: tuple[Firing, ...]
    n_hit: int
    delays: tuple[float, ...]


class Point(NamedTuple):
    """A point of the DET curve; a rate that cannot be known, of no hours or no words, is ``None``."""

    threshold: float
    false_accepts_per_hour: float | None
    miss_rate: float | None


@dataclass(frozen=True)
class Session:
    """Tracks under one condition, and a detector over them.

    Attributes:
        streaming: but for its threshold.
        settles: whether the detector is one that is released again, see `at`; else it is as ``streaming`` has it.
    """

    tracks: Sequence[Track]
    streaming: Streaming
    settles: bool = True

    @cached_property
    def _votes(self) -> list[Votes]:
        return [Votes.of(track.scores, self.streaming) for track in self.tracks]

    @cached_property
    def typical(self) -> float:
        """The median vote where a detection would be false, 0 of no such time."""
        votes = [votes.on for track, votes in zip(self.tracks, self._votes, strict=True) if track.counts_false]
        return float(np.median(np.concatenate([*votes, [0.0]])))

    def at(self, threshold: float) -> Streaming:
        """The detector at a threshold, released half of the time at least.

        Where the typical vote is not under ``hysteresis_low``, a detector that has fired would hear nothing more, which
        few false accepts do not speak for: it is released under the middle between that vote and the threshold.
        """
        streaming = self.streaming.at(threshold)
        if not self.settles or self.typical < streaming.hysteresis_low or self.typical >= threshold:
            return streaming
        middle = max((self.typical + threshold) / 2, float(np.nextafter(self.typical, np.inf)))
        return streaming.model_copy(update={"hysteresis_low": middle})

    @property
    def hours(self) -> float:
        """Hours in which a detection is false."""
        return sum(track.negative_seconds for track in self.tracks) / SECONDS_PER_HOUR

    @property
    def n_words(self) -> int:
        return sum(len(track.words) for track in self.tracks)

    def tally(self, threshold: float) -> Tally:
        """What the detector does with a threshold."""
        streaming = self.at(threshold)
        false: list[Firing] = []
        delays: list[float] = []
        for track, votes in zip(self.tracks, self._votes, strict=True):
            steps = detections(votes, streaming)
            hits, strays = _matched(track, track.times(streaming)[steps])
            delays += hits
            if track.counts_false:
                false += [Firing(track, steps[stray]) for stray in strays]
        return Tally(tuple(false), len(delays), tuple(delays))

    def false_accepts(self, tally: Tally) -> Rate | None:
        """``None`` of no hours."""
        return Rate.of(len(tally.false), self.hours) if self.hours else None

    def misses(self, tally: Tally) -> Share | None:
        """``None`` of no words."""
        return Share.counted(self.n_words - tally.n_hit, self.n_words) if self.n_words else None

    def threshold_for(self, per_hour: float) -> float:
        """The lowest threshold with at most so many false accepts an hour on these tracks.

        And above the typical vote: what half of all sound reaches fires once and is never released. Sought from the
        highest vote down, in steps that double until there are too many, then halve.
        """
        allowed = per_hour * self.hours * (1 + 1e-9)
        votes = [votes.on for track, votes in zip(self.tracks, self._votes, strict=True) if track.counts_false]
        values = np.unique(np.concatenate([*votes, [self.typical]]))
        # Just above each vote, the highest first: nothing reaches that.
        candidates = np.nextafter(values[np.isfinite(values) & (values >= self.typical)], np.inf)[::-1]

        def is_quiet(index: int) -> bool:
            return len(self.tally(float(candidates[index])).false) <= allowed

        quiet, step = 0, 1
        while quiet + step < len(candidates) and is_quiet(quiet + step):
            quiet, step = quiet + step, 2 * step
        loud = min(quiet + step, len(candidates))
        while loud - quiet > 1:
            middle = (quiet + loud) // 2
            quiet, loud = (middle, loud) if is_quiet(middle) else (quiet, middle)
        return float(candidates[quiet])

    def curve(self) -> list[Point]:
        """Detection error trade-off, at up to 60 thresholds spread evenly over the peaks of votes, of words and hours.

        Peaks under the median vote are left out: a detector that nearly all reaches is never released.
        (Martin et al. 1997, The DET curve in assessment of detection task performance, Eurospeech.)
        """
        if not self._votes:
            return []
        peaks = np.concatenate([_peaks(votes.on) for votes in self._votes])
        peaks = peaks[peaks > np.median(np.concatenate([votes.on for votes in self._votes]))]
        if not len(peaks):
            return []
        spread = np.unique(np.quantile(peaks, np.linspace(0, 1, N_POINTS), method="nearest"))
        return [self._point(float(threshold)) for threshold in [*spread, np.nextafter(spread[-1], np.inf)]]

    def _point(self, threshold: float) -> Point:
        tally = self.tally(threshold)
        rate, misses = self.false_accepts(tally), self.misses(tally)
        return Point(threshold, rate.per_hour if rate else None, misses.share if misses else None)


def _matched(track: Track, times: Floats) -> tuple[list[float], list[int]]:
    """Delays of the words that were fired at, and which firings belong to none."""
    delays: list[float] = []
    theirs: set[int] = set()
    for start, end in track.words:
        within = np.flatnonzero((times >= start) & (times <= end + HEARD_SECONDS))
        # Firing twice at a word is no false accept; firing once at two words hits the first.
        fresh = [int(index) for index in within if int(index) not in theirs]
        if fresh:
            delays.append(float(times[fresh[0]]) - end)
        theirs.update(fresh)
    return delays, [index for index in range(len(times)) if index not in theirs]


def _peaks(votes: Floats) -> Floats:
    """Local maxima of (steps,) votes, the first of each plateau."""
    around = np.concatenate([[-np.inf], votes, [-np.inf]])
    is_peak = (votes > around[:-2]) & (votes >= around[2:]) & np.isfinite(votes)
    return votes[is_peak]
