"""How right the live table's time left is.

``python benchmarks/time_left.py [--seeds N]`` lays out sweeps on simulated workers and a simulated clock: the
learning curves are those recorded in ``search_curves.jsonl``, in random order, the ladder and the board are the real
ones; epochs take a lognormal time, students differ in speed, workers take seconds to start.

``python benchmarks/time_left.py EVENTS.jsonl ...`` replays what ``distune sweep --json`` wrote of real sweeps.

Printed are the error at each third of the time that trials ran, as (shown - true) / true, and how often it is
within a quarter.
"""

import argparse
import heapq
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from rich.console import Console
from rich.table import Table
from search_curves import read_table

from search.record.states import TrialState
from search.run.ladder import Ladder, rungs
from search.screen.board import SweepBoard

PARTS = {"1/3": 1 / 3, "1/2": 1 / 2, "2/3": 2 / 3, "5/6": 5 / 6}
WITHIN = 0.25
START_SECONDS, FIRST_START_SECONDS = 0.3, 6.0  # of a trial; of a worker's first, which imports torch
NOISE = 0.15  # sigma of an epoch's logarithm

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """A sweep to simulate: trials and workers, and the seconds of an epoch by student."""

    trials: int
    workers: int
    paces: tuple[float, ...]
    grace: int = 5
    reduction_factor: int = 3

    @property
    def name(self) -> str:
        ladder = f"rungs from {self.grace}" if self.grace else "no early stopping"
        return f"{len(self.paces)} students x {self.trials} trials, {self.workers} workers, {ladder}"


CASES = (
    Case(12, 2, (1.0,)),
    Case(20, 2, (1.0, 3.0, 9.0)),
    Case(20, 8, (1.0, 3.0, 9.0)),
    Case(40, 4, (1.0,)),
    Case(40, 4, (1.0,), grace=2),
    Case(40, 4, (1.0, 3.0), grace=0),
    Case(200, 16, (1.0, 3.0)),
)


class Clock:
    """Seconds that pass when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def simulated(case: Case, curves: Sequence[Sequence[float]], seed: int) -> list[tuple[float, float | None]]:
    """(second, time left as shown) of one sweep, at each of its reports."""
    chance, clock = random.Random(seed), Clock()
    epochs = len(curves[0])
    board = SweepBoard("simulated", "val_pauc", "max", clock)
    ladders, numbers = {}, {}
    for student, _ in enumerate(case.paces):
        steps = rungs(case.grace, case.reduction_factor, epochs) if case.grace else []
        board.add_student(str(student), case.trials, epochs, steps, case.reduction_factor)
        ladders[student] = Ladder(steps, case.reduction_factor, maximise=True)
        numbers[student] = 0
    drawn = {(student, n): chance.choice(curves) for student in ladders for n in range(case.trials)}
    queue: list[tuple[float, int, int, int, int]] = []
    shown = []

    def start(order: int, start_seconds: float) -> None:
        left = {student: 1 - number / case.trials for student, number in numbers.items()}
        student = max(left, key=lambda name: left[name])
        if not left[student]:
            return
        number = numbers[student]
        numbers[student] += 1
        board.trial_started(str(student), number)
        heapq.heappush(queue, (clock.now + start_seconds + took(student), order, student, number, 1))

    def took(student: int) -> float:
        return case.paces[student] * chance.lognormvariate(0, NOISE)

    for order in range(case.workers):
        start(order, FIRST_START_SECONDS)
    while queue:
        clock.now, order, student, number, epoch = heapq.heappop(queue)
        value = drawn[student, number][epoch - 1]
        board.trial_reported(str(student), number, epoch, value)
        goes_on = ladders[student].report(number, epoch, value)
        if goes_on and epoch < epochs:
            heapq.heappush(queue, (clock.now + took(student), order, student, number, epoch + 1))
        else:
            state = TrialState.FINISHED if epoch == epochs else TrialState.PRUNED
            board.trial_ended(str(student), number, state, value)
            start(order, START_SECONDS)
        # Between trials' ends it counts down, and to reckon at each report would take most of the time here.
        if not goes_on or epoch == epochs:
            shown.append((clock.now, board.seconds_left()))
    return shown


def replayed(events: Iterable[Event]) -> Iterator[list[tuple[float, float | None]]]:
    """The same of each table (searching, confirming) in a stream of ``--json`` events."""
    board, clock, shown = None, Clock(), []
    for event in events:
        clock.now, kind = event["time"], event["event"]
        if kind == "sweep_started":
            if shown:
                yield shown
            board, shown = SweepBoard(event["sweep"], event["metric"], event["mode"], clock), []
            for student, row in event["students"].items():
                board.add_student(student, row["target"], row["epochs"], row["rungs"], row["reduction_factor"])
                for trial in row["ended"]:
                    board.recorded(student, TrialState(trial["state"]), epoch=trial["epoch"])
        elif board is not None and kind in ("trial_started", "epoch", "trial_ended"):
            _follow(board, kind, event)
            shown.append((clock.now, board.seconds_left()))
    if shown:
        yield shown


def _follow(board: SweepBoard, kind: str, event: Event) -> None:
    student, trial = event["student"], event["trial"]
    if kind == "trial_started":
        board.trial_started(student, trial, event["epoch"])
    elif kind == "epoch":
        board.trial_reported(student, trial, event["epoch"], event["objective"])
    else:
        board.expect(student, event["target"])
        board.trial_ended(student, trial, TrialState(event["state"]), event["objective"])


def errors(shown: Sequence[tuple[float, float | None]]) -> dict[str, float]:
    """Part of the time to the error of what is shown then, relative to what was left."""
    began, end = shown[0][0], shown[-1][0]
    found = {}
    for name, part in PARTS.items():
        at = began + part * (end - began)
        known = [(second, left) for second, left in shown if second <= at and left is not None]
        if known:
            second, left = known[-1]
            # What the table shows counts down between reports.
            found[name] = (left - (at - second)) / (end - at) - 1
    return found


def table(title: str, rows: Mapping[str, Sequence[Mapping[str, float]]]) -> Table:
    """Median and quartiles of the error, and the share of sweeps within a quarter, a row a case."""
    found = Table("", *PARTS, title=title, title_justify="left")
    for name, sweeps in rows.items():
        cells = []
        for part in PARTS:
            values = [sweep[part] for sweep in sweeps if part in sweep]
            low, _, high = quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
            within = sum(abs(value) <= WITHIN for value in values) / len(values)
            cells.append(f"{median(values):+.0%} ({low:+.0%} to {high:+.0%}), {within:.0%} within")
        found.add_row(name, *cells)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("events", nargs="*", type=Path, help="of `distune sweep --json`; none: simulate")
    parser.add_argument("--seeds", type=int, default=100)
    given = parser.parse_args()
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    if given.events:
        for file in given.events:
            events = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            for number, shown in enumerate(replayed(events), start=1):
                rows[f"{file.stem}, table {number}, {shown[-1][0] - shown[0][0]:.0f} s"].append(errors(shown))
    else:
        curves = [row["val_pauc"] for row in read_table() if row["by"] == "random"]
        for case in CASES:
            rows[case.name] = [errors(simulated(case, curves, seed)) for seed in range(given.seeds)]
    Console(width=150).print(table("error of the time left at parts of the time", rows))


if __name__ == "__main__":
    main()
