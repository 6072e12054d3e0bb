"""How the driver's work grows with trials and students: ``python benchmarks/scale_trials.py``.

Very short trials (one epoch over a dozen clips) through the real thing: Ray Tune's loop, the record, MLflow in
SQLite. Measured is the driver: the CPU seconds of its process, all threads, per trial, from the first suggestion to the
last record in MLflow, and the wall seconds per trial beside them. Every count runs in a process and home of its own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from common import machine
from orchestration import last_record, run_sweep, sweep_tree, timed
from rich.console import Console
from rich.table import Table

from search.run.searcher import SweepSearcher
from search.tracking.store import TrackingStore

CLIPS = {"n_positive": 12, "n_hard_negative": 3, "n_negative": 12}
STUDENTS = ("tiny_conv", "mobilenetv3", "resnet18")
TRIALS_A_STUDENT = 30
Points = list[tuple[int, float]]


def trials(counts: Sequence[int] = (10, 100, 1000)) -> Points:
    """Driver's CPU seconds per trial of sweeps of so many trials."""
    return [(count, driver_seconds(count, STUDENTS[:1])["cpu"]) for count in counts]


def students(counts: Sequence[int] = (1, 2, 3)) -> Points:
    """Driver's CPU seconds per trial of sweeps of so many students, ``TRIALS_A_STUDENT`` trials each."""
    return [(count, driver_seconds(TRIALS_A_STUDENT, STUDENTS[:count])["cpu"]) for count in counts]


def driver_seconds(n_trials: int, names: Sequence[str], workers: int = 2) -> dict[str, float]:
    """Seconds per trial, ``cpu`` of the driver and ``wall``.

    Args:
        n_trials: of each student.
    """
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, __file__, "--home", home, "--trials", str(n_trials), "--workers", str(workers)]
        with (Path(home) / "log").open("w") as log:
            subprocess.run([*command, "--students", *names], check=True, stdout=log, stderr=log)
        return json.loads((Path(home) / "measured.json").read_text())


def measure(tree: dict[str, Any]) -> dict[str, float]:
    with ExitStack() as stack:
        walls = [stack.enter_context(timed(*each)) for each in ((SweepSearcher, "suggest"), (TrackingStore, "write"))]
        cpus = [
            stack.enter_context(timed(*each, clock=time.process_time))
            for each in ((SweepSearcher, "suggest"), (TrackingStore, "write"))
        ]
        run_sweep(tree)
    n = len(tree["students"]) * tree["budget"]["trials"]
    return {
        kind: (last_record(writes) - suggestions[0].began) / n
        for kind, (suggestions, writes) in {"wall": walls, "cpu": cpus}.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=(10, 100, 1000))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--trials", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--students", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.home:
        os.environ.update(DISTUNE_HOME=str(args.home), RAY_AUTH_MODE="disabled", OMP_NUM_THREADS="1")
        tree = sweep_tree(args.home, "short", args.trials, args.workers, CLIPS)
        tree["students"] = {name: {} for name in args.students}
        (args.home / "measured.json").write_text(json.dumps(measure(tree)))
        return
    table = Table("students", "trials each", "driver's CPU ms per trial", "wall ms per trial")
    cases = [(1, count) for count in args.counts] + [(count, TRIALS_A_STUDENT) for count in (1, 2, 3)]
    cpu = []
    for n_students, n_trials in cases:
        found = driver_seconds(n_trials, STUDENTS[:n_students], args.workers)
        cpu.append(found["cpu"])
        cells = n_students, n_trials, round(1000 * found["cpu"]), round(1000 * found["wall"])
        table.add_row(*map(str, cells))
        print(*cells, file=sys.stderr)
    Console(width=120).print(table)
    by_trials = cpu[: len(args.counts)]
    print(f"most over least by number of trials: {max(by_trials) / min(by_trials):.2f} (target: at most 1.5)")
    print(machine())


if __name__ == "__main__":
    main()
