"""How long a sweep will still take: how long its trials will be, laid out on the slots that they share."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from search.run.ladder import ALWAYS_GO_ON

DOUBT = 3.0
"""Trials at a rung that have to go on, or stop, against expectation before expectation gives way by half."""
GOLDEN = 0.6180339887498949  # its multiples spread evenly over [0, 1), however many there are


@dataclass
class Outlook:
    """How long a student's trials will be.

    A mean over the trials that have ended would not do: those at work are the long ones, and the first on a ladder
    have hardly anyone to fall behind. So what is to come is reckoned by the ladder's rule: of ``n`` trials at a rung,
    the next is among the best ``n / reduction_factor`` with that chance. Where more go on than that, because the
    search finds better and better ones, the chance is raised in proportion.

    Args:
        epochs: of a trial that runs to its end.
        rungs: epochs at which trials are compared, ascending.
    """

    epochs: int
    rungs: Sequence[int] = ()
    reduction_factor: int = 3
    _arrived: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    _went_on: float = 0.0
    _expected: float = 0.0
    _whole: list[int] = field(default_factory=list)

    def passed(self, after: int, epoch: int) -> None:
        """A trial that had ``after`` epochs behind it has ``epoch``; whether it goes on shows later."""
        for rung in self.rungs:
            if after < rung <= epoch:
                chance = self._fair_chance(self._arrived[rung])
                self._arrived[rung] += 1
                if chance < 1:
                    self._expected += chance
                    self._went_on += 1

    def stopped(self, epoch: int) -> None:
        """The trial that came to ``epoch`` was stopped there."""
        if epoch in self.rungs:
            self._went_on = max(0.0, self._went_on - 1)

    def finished(self, epoch: int) -> None:
        """A trial ran to its end, which patience may have brought about before ``epochs``."""
        self._whole.append(epoch)

    def lengths(self, at_work: Sequence[int], n_waiting: int) -> tuple[list[int], list[int]]:
        """Epochs left of the trials at work, given what they have behind them, and lengths of those that wait.

        Each length occurs as often as it is to be expected, rather than every trial having the mean: it is the longest
        that the end of a sweep waits for.
        """
        arrived, whole = self._arrived.copy(), self._whole_length()
        left = [0] * len(at_work)
        for rank, place in enumerate(sorted(range(len(at_work)), key=lambda place: -at_work[place])):
            left[place] = self._length(at_work[place], rank, whole, arrived) - at_work[place]
        return left, [self._length(0, rank, whole, arrived) for rank in range(n_waiting)]

    def _length(self, epoch: int, rank: int, whole: int, arrived: defaultdict[int, float]) -> int:
        """Of the trial at ``rank`` among those like it, ``epoch`` behind it."""
        chance = (0.5 + rank * GOLDEN) % 1
        stopped = [rung for rung, share in self._course(epoch, arrived) if share <= chance]
        # One that has outlived those before it is taken to run to its end.
        return stopped[0] if stopped else whole if whole > epoch else max(self.epochs, epoch)

    def _course(self, epoch: int, arrived: defaultdict[int, float]) -> list[tuple[int, float]]:
        """The rungs above ``epoch`` with the share of such trials that go on there; ``arrived`` counts them in."""
        raised, share, found = (self._went_on + DOUBT) / (self._expected + DOUBT), 1.0, []
        for rung in self.rungs:
            if rung > epoch:
                chance = min(1.0, raised * self._fair_chance(arrived[rung]))
                arrived[rung] += share
                share *= chance
                found.append((rung, share))
        return found

    def _fair_chance(self, arrived: float) -> float:
        """That a trial goes on at a rung where ``arrived`` were before it, if it is like them."""
        n = arrived + 1
        return min(1.0, max(ALWAYS_GO_ON, -(-n // self.reduction_factor)) / n)

    def _whole_length(self) -> int:
        return round(sum(self._whole) / len(self._whole)) if self._whole else self.epochs


@dataclass
class Pace:
    """Seconds that an epoch takes, and a trial's first one beyond that."""

    epochs: int = 0
    seconds: float = 0.0
    firsts: list[float] = field(default_factory=list)

    def reported(self, epochs: int, seconds: float, is_first: bool) -> None:
        """``epochs`` new ones took a trial ``seconds``; the first report of a trial holds its start too."""
        if is_first:
            self.firsts.append(seconds)
        else:
            self.epochs += epochs
            self.seconds += seconds

    @property
    def epoch_seconds(self) -> float | None:
        """``None`` before the first epoch; from first reports alone where there are no others."""
        if self.epochs:
            return self.seconds / self.epochs
        return _median(self.firsts) if self.firsts else None

    @property
    def start_seconds(self) -> float:
        """Of a trial, its first epoch apart. The median: the first trial of a worker imports torch, others do not."""
        return max(0.0, _median(self.firsts) - (self.epoch_seconds or 0.0)) if self.firsts else 0.0


@dataclass(frozen=True)
class Ahead:
    """What is ahead of one student.

    Args:
        at_work: seconds left of each of its trials at work.
        waiting: seconds of each that is yet to begin, in order.
    """

    at_work: Sequence[float]
    waiting: Sequence[float]


def ends(ahead: Mapping[str, Ahead], n_slots: int, gap_seconds: float = 0.0) -> dict[str, float]:
    """Seconds until each student's last trial ends, where the students take turns on ``n_slots`` slots.

    Args:
        gap_seconds: for which a slot is idle between two trials.
    """
    slots = [seconds for student in ahead.values() for seconds in student.at_work]
    found = {name: max(student.at_work, default=0.0) for name, student in ahead.items()}
    slots += [0.0] * max(0, n_slots - len(slots))
    heapq.heapify(slots)
    for name, seconds in _in_turn({name: student.waiting for name, student in ahead.items()}):
        end = heapq.heappop(slots) + gap_seconds + seconds
        heapq.heappush(slots, end)
        found[name] = max(found[name], end)
    return found


def _in_turn(waiting: Mapping[str, Sequence[float]]) -> Iterator[tuple[str, float]]:
    """Trials of all students, each student's spread evenly: the one furthest from its target comes next."""
    placed: Iterable[tuple[float, str, float]] = (
        ((place + 0.5) / len(trials), name, seconds)
        for name, trials in waiting.items()
        for place, seconds in enumerate(trials)
    )
    for _, name, seconds in sorted(placed):
        yield name, seconds


def _median(values: Sequence[float]) -> float:
    """The lower one of the two in the middle."""
    return sorted(values)[(len(values) - 1) // 2]
