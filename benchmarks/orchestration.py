"""What the service costs around the training: ``python benchmarks/orchestration.py [--repeats N]``.

The same trials of tiny_conv three times over, each arm in a process of its own and on as many workers:

* distune: ``Sweep.run`` with its record, MLflow in SQLite, and lines instead of the live table;
* stock: Ray Tune with OptunaSearch, ASHAScheduler and MLflowLoggerCallback, otherwise at its defaults, over the
  same trainable; the searcher is handed the configurations that distune handed out in the same round;
* bare: the same configurations in a pool of processes, results appended to a file.

Early stopping is there in both Ray arms with a grace period of all epochs, so that all train the same. Each arm's
wall time runs from the first suggestion to the last record (in MLflow, or in the file), so that the start of Tune's
actors with all that they import lies within it; ray.init, opening the corpus and, for the bare loop, the start of its
processes are quoted apart. The ratio is wall time x workers / sum of the trials' epoch seconds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from math import ceil
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from common import machine
from rich.console import Console
from rich.table import Table

from search.home import open_home
from search.record.results import SweepResults
from search.screen.steps import silent_steps
from search.sweep import Sweep
from trainables.audio.synthesis import SynthesisRequest, synthesise
from trainables.build import build_run
from trainables.corpus.store import Corpus

NAME = "orchestration"
CHECKPOINT_EPOCHS = 5
CLIPS = {"n_positive": 240, "n_hard_negative": 60, "n_negative": 340}
Measured = dict[str, Any]


class Call(NamedTuple):
    """When a call began and ended, what it was given and what it gave; calls that raise are not noted."""

    began: float
    ended: float
    args: tuple[Any, ...]
    result: Any


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=5.5, help="training of one trial, at least")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--home", type=Path, help="keep and use this folder again; by default a temporary one")
    parser.add_argument("--one", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--sweep", help=argparse.SUPPRESS)
    args = parser.parse_args()
    with ExitStack() as stack:
        home = args.home or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ.update(DISTUNE_HOME=str(home.resolve()), RAY_AUTH_MODE="disabled", OMP_NUM_THREADS="1")
        if args.one:
            measured = ARMS[args.one](json.loads(args.sweep))
            (home / "measured.json").write_text(json.dumps(measured))
            return
        report([run_round(round_, home, args) for round_ in range(args.repeats)], args.workers)


def run_round(number: int, home: Path, args: argparse.Namespace) -> dict[str, Measured]:
    """Every arm once, in a process of its own; distune first, since the others train what it drew."""
    tree = sweep_tree(home, f"{NAME}-{os.getpid()}-{number}", args.trials, args.workers)
    probe = tree | {"name": f"{tree['name']}-probe", "budget": {"trials": args.workers, "epochs": 6}}
    tree["budget"]["epochs"] = ceil(args.seconds / run_arm("distune", probe, home)["median"])
    return {arm: run_arm(arm, tree, home) for arm in ARMS}


def run_arm(arm: str, tree: dict[str, Any], home: Path) -> Measured:
    """One arm in a process of its own; what it prints goes to ``<arm>.log`` in the home."""
    command = [sys.executable, __file__, "--home", str(home), "--one", arm, "--sweep", json.dumps(tree)]
    budget = tree["budget"]
    print(f"{time.strftime('%X')} {arm}: {budget['trials']} trials of {budget['epochs']} epochs", file=sys.stderr)
    with (home / f"{arm}.log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log)
    return json.loads((home / "measured.json").read_text())


def sweep_tree(
    home: Path, name: str, n_trials: int, workers: int, clips: dict[str, int] | None = None
) -> dict[str, Any]:
    """A sweep file over synthesised clips, which are made where they are missing."""
    data = home / "clips"
    if not data.is_dir():
        synthesise(SynthesisRequest(phrase="hey sirius", out=data, seed=1, **(clips or CLIPS)))
    return {
        "name": name,
        "data": {"path": str(data), "views": {"count": 1}},
        "teacher": {"allow_weak": True},
        "confirm": {"enabled": False},
        "students": {"tiny_conv": {}},
        "budget": {"trials": n_trials, "epochs": 1},
        "early_stopping": {"grace_epochs": 1000},
        "resources": {"max_concurrent_trials": workers, "checkpoint_epochs": CHECKPOINT_EPOCHS},
    }


def run_sweep(tree: dict[str, Any]) -> SweepResults:
    file = Path(os.environ["DISTUNE_HOME"]) / f"{tree['name']}.yaml"
    file.write_text(json.dumps(tree))  # JSON is YAML
    return Sweep.load(file).run(silent_steps)


@contextmanager
def timed(owner: Any, name: str, clock: Callable[[], float] = time.time) -> Iterator[list[Call]]:
    """Note when each call of a function or method begins and ends, in seconds of ``clock``."""
    calls: list[Call] = []
    original: Callable[..., Any] = getattr(owner, name)

    def noting(*args: Any, **kwargs: Any) -> Any:
        began = clock()
        result = original(*args, **kwargs)
        calls.append(Call(began, clock(), args, result))
        return result

    with patch.object(owner, name, noting):
        yield calls


def seconds_of(calls: list[Call]) -> float:
    return sum(call.ended - call.began for call in calls)


def last_record(writes: list[Call]) -> float:
    """When the last of ``TrackingStore.write``'s calls for a trial ended; those for a student only sum up."""
    return max(call.ended for call in writes if call.args[1].run.trial is not None)


def distune(tree: dict[str, Any]) -> Measured:
    import search.sweep
    from search.run.searcher import SweepSearcher
    from search.tracking.store import TrackingStore

    with (
        timed(search.sweep, "start_ray") as ray_init,
        timed(SweepSearcher, "suggest") as suggestions,
        timed(TrackingStore, "write") as records,
        timed(search.sweep, "make_shared") as shared,
    ):
        run_sweep(tree)
    configs_file(tree).write_text(json.dumps([call.result for call in suggestions if isinstance(call.result, dict)]))
    apart = {"ray.init": seconds_of(ray_init), "clips, teacher and corpus": seconds_of(shared)}
    apart["until the first suggestion"] = suggestions[0].began - ray_init[0].ended
    return measured(suggestions[0].began, last_record(records), recorded_seconds(tree["name"]), apart)


def stock(tree: dict[str, Any]) -> Measured:
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    from trainables.distill import DistillTrainable

    configs = json.loads(configs_file(tree).read_text())
    metric, epochs = configs[0]["objective"]["metric"], tree["budget"]["epochs"]
    choose = partial(chosen, configs=configs)
    points = [{"index": index} for index in range(len(configs))]
    experiment, uri = f"{tree['name']}-stock", open_home().tracking_uri
    with timed(ray, "init") as ray_init:
        ray.init("local", include_dashboard=False, log_to_driver=False)
    with timed(OptunaSearch, "suggest") as suggestions, timed(MLflowLoggerCallback, "log_trial_end") as records:
        began = time.time()
        tune.Tuner(
            tune.with_resources(DistillTrainable, {"cpu": 1}),
            tune_config=tune.TuneConfig(
                metric=metric, mode="max", num_samples=len(configs),
                max_concurrent_trials=tree["resources"]["max_concurrent_trials"],
                search_alg=OptunaSearch(choose, metric=metric, mode="max", points_to_evaluate=points, seed=0),
                scheduler=ASHAScheduler(time_attr="epoch", max_t=epochs, grace_period=epochs),
            ),
            run_config=tune.RunConfig(
                name=experiment, storage_path=str(open_home().root / "stock"),
                callbacks=[MLflowLoggerCallback(tracking_uri=uri, experiment_name=experiment)],
            ),
        ).fit()  # fmt: skip
    apart = {"ray.init": seconds_of(ray_init), "until the first suggestion": suggestions[0].began - began}
    ray.shutdown()
    return measured(suggestions[0].began, records[-1].ended, recorded_seconds(experiment), apart)


def chosen(trial: Any, configs: list[dict[str, Any]]) -> dict[str, Any]:
    """OptunaSearch's space: which of the configurations."""
    return configs[trial.suggest_categorical("index", range(len(configs)))]


def bare(tree: dict[str, Any]) -> Measured:
    configs = json.loads(configs_file(tree).read_text())
    file = open_home().root / f"{tree['name']}.jsonl"
    workers = tree["resources"]["max_concurrent_trials"]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        began = time.time()
        list(pool.map(time.sleep, [1.0] * workers))  # long enough for every process to take one
        first = time.time()
        seconds = [each for trial in pool.map(partial(trained, file=file), configs) for each in trial]
        last = time.time()
    with timed(Corpus, "open") as opening:
        Corpus.open(Path(configs[0]["corpus"]), configs[0]["head"])
    apart = {"starting the pool": first - began - 1.0, "Corpus.open": seconds_of(opening)}
    return measured(first, last, seconds, apart)


def trained(config: dict[str, Any], file: Path) -> list[float]:
    """Seconds of each epoch; every result is appended to ``file``."""
    torch.set_num_threads(1)
    run = build_run(*(config[key] for key in ("trial", "corpus", "head", "objective")))
    seconds = []
    while not run.done:
        result = run.step()
        seconds.append(result["epoch_seconds"])
        with file.open("a") as lines:
            lines.write(json.dumps(result) + "\n")
    return seconds


def configs_file(tree: dict[str, Any]) -> Path:
    """What distune handed to each trial in this round, in the order of its suggestions."""
    return open_home().root / f"{tree['name']}.configs.json"


def recorded_seconds(experiment_name: str) -> list[float]:
    """Seconds of every epoch, as MLflow has them."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(open_home().tracking_uri)
    runs = client.search_runs([client.get_experiment_by_name(experiment_name).experiment_id])
    return [point.value for run in runs for point in client.get_metric_history(run.info.run_id, "epoch_seconds")]


def measured(first: float, last: float, seconds: list[float], apart: dict[str, float]) -> Measured:
    return {
        "wall": last - first,
        "training": sum(seconds),
        "epochs": len(seconds),
        "median": median(seconds),
        "apart": apart,
    }


def report(rounds: list[dict[str, Measured]], workers: int) -> None:
    table = Table("arm", "epochs", "wall s", "training s", "wall x workers / training", "overhead, worker s")
    overhead: dict[str, list[float]] = {}
    for arm in rounds[0]:
        runs = [each[arm] for each in rounds]
        overhead[arm] = [run["wall"] * workers - run["training"] for run in runs]
        ratio = median(run["wall"] * workers / run["training"] for run in runs)
        wall, training = (median(run[key] for run in runs) for key in ("wall", "training"))
        table.add_row(arm, str(runs[0]["epochs"]), f"{wall:.1f}", f"{training:.1f}", f"{ratio:.3f}",
                      f"{median(overhead[arm]):.1f}")  # fmt: skip
    Console(width=120).print(table)
    for arm in rounds[0]:
        apart = {what: median(each[arm]["apart"][what] for each in rounds) for what in rounds[0][arm]["apart"]}
        print(f"{arm}, apart: " + ", ".join(f"{what} {seconds:.2f} s" for what, seconds in apart.items()))
    if {"distune", "stock"} <= set(overhead):
        shares = [ours / theirs for ours, theirs in zip(overhead["distune"], overhead["stock"], strict=True)]
        print(f"distune's overhead over stock's: {median(shares):.2f} (target: at most 0.5; ratio at most 1.15)")
    print(machine())


ARMS = {"distune": distune, "stock": stock, "bare": bare}

if __name__ == "__main__":
    main()
