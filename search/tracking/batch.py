"""What is to be written to one MLflow run: plain data, so that it can wait, merge and be kept on disk."""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from search.record.states import TrialState

Stage = Literal["search", "confirm"]


class RunKey(NamedTuple):
    """A student's parent run, or one of its trials: of the search or of confirming, which count apart."""

    student: str
    trial: int | None = None
    stage: Stage = "search"

    @property
    def name(self) -> str:
        """What the MLflow UI calls the run, e.g. ``tiny_conv-003`` or ``tiny_conv-confirm-003``."""
        words = [self.student, *([self.stage] if self.stage != "search" else [])]
        return "-".join(words if self.trial is None else [*words, f"{self.trial:03d}"])


class Point(NamedTuple):
    """One value of one metric. The time is taken once, so that a point sent twice is one row."""

    metric: str
    value: float
    step: int
    time_ms: int


@dataclass(frozen=True)
class Inputs:
    """What every trial of a sweep learns from, as MLflow shows it of each run; plain data.

    Args:
        clips: ``path``, ``fingerprint`` and ``counts``, split to the number of clips of each label.
        teacher: ``fingerprint``, the head's included, and dotted keys of the sweep.
    """

    clips: dict[str, Any]
    teacher: dict[str, Any]


@dataclass(frozen=True)
class WinningModel:
    """A confirmed winner in MLflow's format, and what decides whether it becomes champion; plain data.

    Args:
        name: of the registered model, the student's.
        folder: what to upload.
        sweep: whose winner it is.
        score: mean of the objective over its confirming runs on validation.
        measured_by: what two scores must share to be comparable: the objective, and the clips that it was read on.
        facts: of the registered version, beside those: tags as people read them.
    """

    name: str
    folder: str
    sweep: str
    score: float
    higher_is_better: bool
    measured_by: dict[str, str]
    facts: dict[str, str]


@dataclass
class Batch:
    """Everything that waits to be written to one run; what was written is taken out.

    Args:
        run: which run.
        time_ms: when the first of it happened, epoch milliseconds; a run made for it starts then.
        state: the run's new state, ``None`` where it keeps the one it has.
        state_ms: when that state began, epoch milliseconds.
        files: artifact's path to the file, read when it is sent.
    """

    run: RunKey
    time_ms: int
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    state: TrialState | None = None
    state_ms: int = 0
    files: dict[str, str] = field(default_factory=dict)
    inputs: Inputs | None = None
    model: WinningModel | None = None

    def absorb(self, later: "Batch") -> None:
        """Add what came later; tags and state follow the latest, a param keeps its first value."""
        self.params = later.params | self.params
        self.tags |= later.tags
        self.points += later.points
        self.files |= later.files
        self.inputs, self.model = later.inputs or self.inputs, later.model or self.model
        if later.state is not None:
            self.state, self.state_ms = later.state, later.state_ms


def unwritten(points: list[Point], last_steps: dict[str, int]) -> list[Point]:
    """The points past the last written step of their metric, each step once.

    A trial that went back to a checkpoint reports some epochs again; the first report of an epoch stands.

    Args:
        last_steps: last written step by metric; a metric that is missing has no point yet.
    """
    last, new = dict(last_steps), []
    for point in points:
        if point.step > last.get(point.metric, -1):
            new.append(point)
            last[point.metric] = point.step
    return new
