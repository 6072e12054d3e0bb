"""Real learning curves of tiny_conv on recorded speech: ``python benchmarks/search_curves.py [--data DIR]``.

Trains configurations of the shipped space to the end, each with a seed of its own, and appends a line a run to
``search_curves.jsonl`` beside this script, which `search_cost.py` replays. Some are drawn at random, so that the table
covers the space; then some by TPE on the runs so far, so that it is dense where a search ends up; some of both again
with another seed, to know what a seed does; and the known points that every sweep begins with, twice each, because
how good they are decides where a search stands early. A line is written as a run ends: the same command goes on where
an earlier one stopped.

``DIR`` holds ``manifest.csv``, ``noise/train`` and ``rir``; by default ``../shared/data/enable`` beside the checkout.
"""

import argparse
import json
import os
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import optuna
import torch
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from search.home import open_home
from search.prepare.shared import Shared, make_shared
from search.propose.starts import known_points
from search.screen.steps import shown_steps
from spaces.space import Space
from spaces.sweep import SweepConfig
from trainables.build import build_run
from trainables.corpus.ranking import layer_scores

ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).with_name("search_curves.jsonl")
STUDENT, EPOCHS = "tiny_conv", 20
N_RANDOM, N_TPE, N_AGAIN, N_KNOWN_TWICE = 220, 90, 20, 16
FIRST_AGAIN = N_RANDOM + N_TPE
FIRST_KNOWN = FIRST_AGAIN + N_AGAIN
KEPT = ("val_pauc", "val_f1")


def sweep_config(data: Path) -> SweepConfig:
    """The sweep whose trials the curves are."""
    paths = {
        "data.path": str(data.resolve() / "manifest.csv"),
        "data.views.noise": [str(data.resolve() / "noise/train")],
        "data.views.rir": [str(data.resolve() / "rir")],
    }
    return SweepConfig.load(ROOT / "examples/enable.yaml", {**paths, "budget.epochs": EPOCHS})


def read_table() -> list[dict[str, Any]]:
    """The runs so far: number, drawn by whom, the drawn parameters, the objective after each epoch."""
    return [json.loads(line) for line in TABLE.read_text().splitlines()] if TABLE.exists() else []


def again_of(number: int) -> int:
    """Which run is repeated under this number: random ones and TPE's in turn."""
    step = number - FIRST_AGAIN
    return 11 * step if step % 2 else N_RANDOM + 4 * step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/enable")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sweep = sweep_config(args.data)
    shared = make_shared(sweep, open_home(), shown_steps)
    with ProcessPoolExecutor(args.workers, get_context("spawn")) as pool, TABLE.open("a") as table:
        pending: set[Future[dict[str, Any]]] = set()
        todo = numbers_to_run()
        while True:
            while len(pending) < args.workers and (number := next(todo, None)) is not None:
                row, config = drawn(sweep, shared, number)
                facts = str(shared.corpus), shared.teacher.head_fingerprint, sweep.objective.model_dump()
                pending.add(pool.submit(trained, row, config, *facts))
            if not pending:
                return
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                table.write(json.dumps(future.result()) + "\n")
                table.flush()


def numbers_to_run() -> Iterator[int]:
    done = {row["number"] for row in read_table()}
    every = [*range(FIRST_KNOWN, FIRST_KNOWN + N_KNOWN_TWICE), *range(FIRST_KNOWN)]
    return (number for number in every if number not in done)


def drawn(sweep: SweepConfig, shared: Shared, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is known of a run before it is trained, and its flat configuration."""
    space, of = shared.spaces[STUDENT], number
    if number >= FIRST_KNOWN:
        points = known_points(space, shared.n_layers, layer_scores(shared.probes), sweep.search.seed)
        nth = (number - FIRST_KNOWN) % len(points)
        of, (by, params) = FIRST_KNOWN + nth, list(points.items())[nth]
    elif number >= FIRST_AGAIN:
        by, of = "again", again_of(number)
        params = next(row["params"] for row in read_table() if row["number"] == of)
    else:
        by = "random" if number < N_RANDOM else "tpe"
        params = suggested(space, shared.n_layers, number, by)
    values = space.suggest(optuna.trial.FixedTrial(params), shared.n_layers)
    return {"number": number, "by": by, "of": of, "params": params}, sweep.trial_config(STUDENT, values, number).flat()


def suggested(space: Space, n_layers: int, number: int, by: str) -> dict[str, Any]:
    """The parameters as Optuna names them."""
    sampler: BaseSampler = RandomSampler(seed=number) if by == "random" else TPESampler(seed=number)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    if by == "tpe":
        for row in read_table():
            asked = optuna.create_study(
                sampler=optuna.samplers.PartialFixedSampler(row["params"], RandomSampler())
            ).ask()
            space.suggest(asked, n_layers)
            study.add_trial(
                optuna.trial.create_trial(
                    params=asked.params, distributions=asked.distributions, value=max(row["val_pauc"])
                )
            )
    trial = study.ask()
    space.suggest(trial, n_layers)
    return trial.params


def trained(
    row: dict[str, Any], config: dict[str, Any], corpus: str, head: str, objective: dict[str, Any]
) -> dict[str, Any]:
    """The row with its curves, one value an epoch."""
    torch.set_num_threads(1)
    run = build_run(config, corpus, head, objective)
    results = []
    while not run.done:
        results.append(run.step())
    return row | {name: [round(result[name], 5) for result in results] for name in KEPT}


if __name__ == "__main__":
    main()
