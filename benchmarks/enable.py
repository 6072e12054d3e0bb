"""What distillation is worth on recorded speech: ``python benchmarks/enable.py [--data DIR] [SET ...]``.

Runs examples/enable.yaml (or goes on with it, where it was interrupted). Then trains three arms a student to
the end, each with the same fresh seeds: the sweep's best configuration; the same without distillation; and the
space's defaults without distillation. Prints means over seeds of validation and test metrics at the epoch that is
best on validation, beside the teacher's. Test clips are read here alone, after every choice.

``DIR`` holds ``manifest.csv``, ``noise/train`` and ``rir``; by default ``../shared/data/enable`` beside the
checkout. ``SET`` are keys of the sweep file, as ``budget.trials=4``.
"""

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import machine
from rich.console import Console
from rich.table import Table

from search.record.results import SweepResults
from search.sweep import Sweep
from spaces.sweep import parse_overrides
from spaces.trial import TrialConfig
from trainables.build import build_run

ROOT = Path(__file__).parents[1]
METRICS = ("f1", "pauc", "eer")
FIRST_SEED = 500_000  # beyond the sweep's own

Metrics = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/enable")
    parser.add_argument("--seeds", type=int, default=2, help="runs an arm")
    parser.add_argument("changes", nargs="*", metavar="SET")
    args = parser.parse_args()
    paths = {
        "data.path": str(args.data.resolve() / "manifest.csv"),
        "data.views.noise": [str(args.data.resolve() / "noise/train")],
        "data.views.rir": [str(args.data.resolve() / "rir")],
        # The arms below are this script's own.
        "confirm.enabled": False,
    }
    results = Sweep.load(ROOT / "examples/enable.yaml", paths | parse_overrides(args.changes)).run()
    if results.n_missing:
        sys.exit(f"interrupted with {results.n_missing} trials to go; the same command goes on")
    table = Table(*("", "seeds"), *(f"{split} {name}" for split in ("val", "test") for name in METRICS))
    teacher = results.facts["teacher_metrics"]
    table.add_row("teacher", "", *(f"{teacher[split][name]:.3f}" for split in ("val", "test") for name in METRICS))
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        pending = {
            f"{student}, {told}": [
                pool.submit(trained, config | {"seed": FIRST_SEED + seed}, results.facts, objective(results))
                for seed in range(args.seeds)
            ]
            for student in results.sweep.students
            for told, config in arms(results, student).items()
        }
        for told, runs in pending.items():
            table.add_row(told, str(len(runs)), *means([run.result() for run in runs]))
    Console(width=140).print(table)
    for student in results.sweep.students:
        if best := results.best(student):
            print(student, {key: value for key, value in best.config.flat().items() if "distillation" in key})
    print(machine())


def objective(results: SweepResults) -> dict[str, Any]:
    return results.sweep.objective.model_dump()


def arms(results: SweepResults, student: str) -> dict[str, dict[str, Any]]:
    """What to train, by name: flat trial keys."""
    best = results.best(student)
    plain = next(t for t in results.trials[student] if t.user_attrs.get("known_point") == "no_distillation")
    chosen = {"defaults without distillation": TrialConfig.from_flat(plain.user_attrs["config"]).flat()}
    if best:
        bare = {key: value for key, value in best.config.flat().items() if not key.startswith("distillation.")}
        twin = TrialConfig.from_flat(bare | {"distillation.enabled": False}).flat()
        if twin | {"seed": 0} != chosen["defaults without distillation"] | {"seed": 0}:
            chosen["best without distillation"] = twin
        chosen["best"] = best.config.flat()
    return chosen


def trained(config: dict[str, Any], facts: dict[str, Any], objective: dict[str, Any]) -> Metrics:
    """Validation and test metrics of one run, trained to its end, at its best epoch."""
    torch.set_num_threads(1)
    run = build_run(config, facts["corpus"], facts["head"], objective)
    while not run.done:
        run.step()
    run.use_best()
    return {f"{split} {name}": value for split in ("val", "test") for name, value in run.measure(split).items()}


def means(runs: list[Metrics]) -> list[str]:
    columns = [f"{split} {name}" for split in ("val", "test") for name in METRICS]
    values = {column: [run[column] for run in runs] for column in columns}
    return [f"{np.mean(values[column]):.3f}" for column in columns]


if __name__ == "__main__":
    main()
