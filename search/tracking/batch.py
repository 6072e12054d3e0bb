"""What is to be written to one MLflow run: plain data, so that it can wait, merge and be kept on disk."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

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


@dataclass
class Batch:
    """Everything that waits to be written to one run.

    Args:
        run: which run.
        time_ms: when the first of it happened, epoch milliseconds; a run made for it starts then.
        state: the run's new state, ``None`` where it keeps the one it has.
        state_ms: when that state began, epoch milliseconds.
    """

    run: RunKey
    time_ms: int
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    state: TrialState | None = None
    state_ms: int = 0

    def absorb(self, later: "Batch") -> None:
        """Add what came later; tags and state follow the latest, a param keeps its first value."""
        self.params = later.params | self.params
        self.tags |= later.tags
        self.points += later.points
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
