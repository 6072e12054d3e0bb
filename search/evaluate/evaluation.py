"""One model evaluated: clips and hours under each condition, at one threshold, and what threshold a rate needs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from search.evaluate.clips import ReadClip, clip_metrics, read_split
from search.evaluate.conditions import AS_RECORDED, CONDITIONS, Condition, Scenery
from search.evaluate.model import Model
from search.evaluate.words import HeardWord, word_track, words_of
from search.screen.steps import Tell
from spaces.errors import Fault, gathering, refuse
from spaces.sections import Data
from trainables.audio.entries import Split
from trainables.intervals import Estimate, Rate, Share
from trainables.stream.detector import Streaming
from trainables.stream.rates import Firing, Point, Session, Track
from trainables.stream.recordings import Recording, find_recordings
from trainables.stream.windows import Listener


@dataclass(frozen=True)
class Request:
    """What is to be evaluated on what.

    Attributes:
        stream: folder of long recordings; none: clips and single words alone.
        threshold: none: the model's own, else that for the rate, else the detector's.
        per_hour: false accepts an hour that are to be reached.
        disturbed: also in noise and in rooms.
        exact: see `trainables.stream.windows.Listener`.
    """

    data: Data
    split: Split = "test"
    stream: Path | None = None
    noise: tuple[Path, ...] = ()
    rir: tuple[Path, ...] = ()
    streaming: Streaming = field(default_factory=Streaming)
    threshold: float | None = None
    per_hour: float = 0.5
    disturbed: bool = True
    exact: bool = False

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return CONDITIONS if self.disturbed else (AS_RECORDED,)


@dataclass(frozen=True)
class Operation:
    """What the detector does at a threshold; ``None`` where there are no hours, no words, or none that it fired at.

    Attributes:
        delay_seconds: median time from a word's end to firing, and that which nine in ten stay under.
    """

    threshold: float
    false_accepts: Rate | None
    misses: Share | None
    delay_seconds: tuple[float, float] | None

    @classmethod
    def of(cls, session: Session, threshold: float) -> "Operation":
        tally = session.tally(threshold)
        delays = tally.delays
        delay = (float(np.median(delays)), float(np.quantile(delays, 0.9))) if delays else None
        return cls(threshold, session.false_accepts(tally), session.misses(tally), delay)


@dataclass(frozen=True)
class Outcome:
    """One condition.

    Attributes:
        clips: metrics of the clips, by name.
        det: the detector's two errors over thresholds.
    """

    condition: str
    clips: dict[str, Estimate]
    operation: Operation
    det: tuple[Point, ...]


@dataclass(frozen=True)
class Evaluation:
    """All that was found.

    Attributes:
        n_words, words_in: wake words that the detector heard, and where.
        hours: in which firing is false.
        released_under: the score that releases the detector: of ``streaming``, or higher where nothing else would, see
            `trainables.stream.rates.Session.at`.
        chosen: where the threshold is from.
        for_rate: the threshold for ``per_hour`` on the recordings as they are, and what it does there.
    """

    model: str
    data: str
    split: Split
    n_positive: int
    n_negative: int
    n_speakers: int
    n_words: int
    words_in: str
    hours: float
    streaming: Streaming
    threshold: float
    released_under: float
    chosen: str
    per_hour: float
    for_rate: Operation | None
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True)
class Found:
    """An evaluation, and each false accept on the recordings as they are, for what is made of them."""

    evaluation: Evaluation
    false_accepts: tuple[Firing, ...]
    recordings: dict[str, Recording]


@dataclass(frozen=True)
class _Heard:
    """What is heard under every condition."""

    clips: list[ReadClip]
    words: list[HeardWord]
    recordings: list[Recording]
    scenery: Scenery


def evaluate_model(model: Model, request: Request, tell: Tell = lambda done, of: None) -> Found:
    """Evaluate a model.

    Args:
        tell: told of conditions done, of how many.

    Raises:
        InputError: all that is wrong with clips, recordings, noise and rooms, at once.
    """
    heard = _gathered(request)
    listener = Listener(model.judge, request.streaming.hop_ms, request.exact)
    sessions, metrics = [], []
    for done, condition in enumerate(request.conditions):
        tell(done, len(request.conditions))
        metrics.append(clip_metrics(model.judge, heard.clips, heard.scenery, condition))
        sessions.append(Session(_tracks(listener, heard, condition), request.streaming))
    tell(len(request.conditions), len(request.conditions))
    # The first is as recorded.
    for_rate = sessions[0].threshold_for(request.per_hour) if sessions[0].hours else None
    threshold, chosen = _threshold(request, model, for_rate)
    # One detector in all conditions.
    detector = sessions[0].at(threshold)
    fixed = [Session(session.tracks, detector, settles=False) for session in sessions]
    outcomes = tuple(
        Outcome(condition.name, found, Operation.of(of_one, threshold), tuple(session.curve()))
        for condition, found, of_one, session in zip(request.conditions, metrics, fixed, sessions, strict=True)
    )
    evaluation = _evaluation(model, request, heard, sessions[0], threshold, chosen, for_rate, outcomes)
    false = fixed[0].tally(threshold).false
    return Found(evaluation, false, {recording.name: recording for recording in heard.recordings})


def _gathered(request: Request) -> _Heard:
    faults: list[Fault] = []
    clips: list[ReadClip] = []
    recordings: list[Recording] = []
    scenery = Scenery()
    with gathering(faults):
        clips = read_split(request.data, request.split)
    with gathering(faults):
        recordings = find_recordings(request.stream) if request.stream else []
    with gathering(faults):
        scenery = Scenery(request.noise, request.rir)
    refuse(faults)
    # Words that are said in the recordings are the better test.
    words = [] if any(each.words for each in recordings) else words_of(clips, request.streaming)
    return _Heard(clips, words, recordings, scenery)


def _tracks(listener: Listener, heard: _Heard, condition: Condition) -> list[Track]:
    tracks = []
    for recording in heard.recordings:
        scored = listener.score(heard.scenery.hours(recording.pieces(), recording.name, condition))
        tracks.append(Track(recording.name, scored.scores, scored.seconds, recording.words))
    return tracks + [word_track(listener, word, heard.scenery, condition) for word in heard.words]


def _threshold(request: Request, model: Model, for_rate: float | None) -> tuple[float, str]:
    """The threshold, and where it is from."""
    if request.threshold is not None:
        return request.threshold, "as asked"
    if model.threshold is not None:
        return model.threshold, "the model's own"
    if for_rate is not None:
        return for_rate, f"for {request.per_hour:g} false accepts an hour, chosen on these very recordings"
    return request.streaming.hysteresis_high, "the detector's default"


def _evaluation(
    model: Model,
    request: Request,
    heard: _Heard,
    session: Session,
    threshold: float,
    chosen: str,
    for_rate: float | None,
    outcomes: Sequence[Outcome],
) -> Evaluation:
    labels = [each.clip.label for each in heard.clips]
    return Evaluation(
        model=str(model.path),
        data=str(request.data.path),
        split=request.split,
        n_positive=sum(labels),
        n_negative=len(labels) - sum(labels),
        n_speakers=len({each.clip.speaker for each in heard.clips if each.clip.speaker}),
        n_words=session.n_words,
        words_in=f"clips of {request.split}, each within silence" if heard.words else "the recordings",
        hours=session.hours,
        streaming=request.streaming,
        threshold=threshold,
        released_under=session.at(threshold).hysteresis_low,
        chosen=chosen,
        per_hour=request.per_hour,
        for_rate=None if for_rate is None else Operation.of(session, for_rate),
        outcomes=tuple(outcomes),
    )
