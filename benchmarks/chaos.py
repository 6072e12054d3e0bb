"""Forty trials on four nodes while something is killed every few seconds: ``python benchmarks/chaos.py --seeds 0 1 2``.

Real trials on a corpus of random numbers, slowed down to half a second an epoch, on real Ray nodes of this machine.
What is killed is drawn from the seed: a worker at work, a node (another one joins for it), the driver (which is
started again); always by SIGKILL. Workers keep a ledger of what they trained (ledger.py), with which the record and
MLflow are compared.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import psutil
from common import machine
from ledger import Noted, passed_over, read_ledger
from mlflow.tracking import MlflowClient
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial
from random_corpus import HEAD, write_random_corpus
from ray.cluster_utils import Cluster
from rich.console import Console
from rich.table import Table

from search.home import SweepFolder, open_home
from search.log import logged_to
from search.record.origin import Part
from search.record.results import begun_trials
from search.record.states import TrialState
from search.record.sweep import SweepRecord
from search.run import tuning
from search.run.profile import Profile
from search.run.resources import start_ray
from search.run.starting import started
from search.tracking.replay import replay
from search.tracking.tracker import Tracker
from spaces.space import Space
from spaces.sweep import SweepConfig

STUDENT, METRIC = "tiny_conv", "val_pauc"
N_NODES, N_EPOCHS = 4, 9
KINDS = {"worker": 6, "node": 3, "driver": 1}
"""What is killed, and how often against the others."""
LONGEST_SECONDS = 1200.0
SPACE = Space.model_validate(
    {
        "parameters": {
            "distillation.alpha": {"low": 0.0, "high": 0.9, "default": 0.0},
            "training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True, "default": 1e-3},
        },
        "fixed": {"optimizer.warmup_epochs": 0, "model.tcn_num_channels": [4, 4, 4]},
        "known_points": {"no_distillation": {"distillation.alpha": 0.0}},
    }
)
ORIGIN = {"the clips": Part("c", {}), "the views": Part("v", {}), "the teacher": Part("t", {})}
ORIGIN["the teacher's head"] = Part("h", {})


# The driver, in a process of its own


def drive(root: Path, settings: dict[str, Any]) -> None:
    """Bring the sweep to its end, or go on with it."""
    home = open_home(root / "home")
    folder = home.sweep("chaos")
    tree = {"name": "chaos", "data": {"path": root}, "students": [STUDENT], "early_stopping": {"grace_epochs": 3}}
    sweep = SweepConfig.model_validate(tree).overlaid(settings)
    tuning.DistillTrainable = Noted  # type: ignore[misc]
    with (
        folder.claimed(),
        logged_to(folder.create().log),
        Tracker.open(home.tracking_uri, "chaos", home.artifacts, folder.spool) as tracker,
    ):
        record = SweepRecord(sweep, folder.journal, {STUDENT: SPACE}, n_layers=1, origin=ORIGIN)
        tracker.start_student(STUDENT)
        replay(tracker, record)
        start_ray(sweep.resources)
        head = SimpleNamespace(head_fingerprint=HEAD)
        common = {"corpus": root / "corpus", "read_from": str(root / "corpus"), "teacher": head, "n_layers": 1}
        shared: Any = SimpleNamespace(spaces=record.spaces, stream=None, **common)
        tuning.run_trials(record, shared, tracker, folder, Profile())
    sys.exit(0 if record.n_missing == 0 else 1)


# What kills


class Chaos:
    """A cluster of four nodes, a driver, and what befalls them."""

    def __init__(self, root: Path, seed: int, settings: dict[str, Any]) -> None:
        self.root, self._draw, self.killed = root, random.Random(seed), Counter[str]()
        head = {"num_cpus": 0, "include_dashboard": False}
        self._cluster = started(lambda: Cluster(initialize_head=True, head_node_args=head))
        self._nodes = [self._new_node() for _ in range(N_NODES)]
        self._settings = settings | {"resources.address": self._cluster.address}
        self._driver = self._new_driver()

    def run(self, seconds_between: float) -> None:
        """Until the driver is done; something is killed so often, but two epochs a node are finished between.

        On a machine with too much to do nothing would ever be finished otherwise.
        """
        deadline, n_before = time.monotonic() + LONGEST_SECONDS, 0
        while time.monotonic() < deadline:
            try:
                status = self._driver.wait(seconds_between)
            except subprocess.TimeoutExpired:
                if (n_epochs := self._n_epochs()) >= n_before + 2 * N_NODES:
                    self._kill(*self._draw.choices(list(KINDS), list(KINDS.values())))
                    n_before = n_epochs
                continue
            if status == 0:
                return
            raise RuntimeError(f"the driver ended by itself: {(self.root / 'driver.log').read_text()[-3000:]}")
        raise TimeoutError(f"not over after {LONGEST_SECONDS:g} s")

    def close(self) -> None:
        self._driver.kill()
        self._driver.wait()
        self._cluster.shutdown()

    def _new_node(self) -> Any:
        return started(lambda: self._cluster.add_node(num_cpus=1))

    def _new_driver(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, __file__, "--drive", str(self.root), json.dumps(self._settings)]
        with (self.root / "driver.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    def _kill(self, kind: str) -> None:
        if kind == "worker" and not (workers := self._workers()):
            kind = "node"
        if kind == "worker":
            try:
                self._draw.choice(workers).kill()
            except psutil.NoSuchProcess:  # it ended meanwhile
                return
        elif kind == "node":
            self._cluster.remove_node(self._nodes.pop(self._draw.randrange(N_NODES)), allow_graceful=False)
            self._nodes.append(self._new_node())
        else:
            self._driver.kill()
            self._driver.wait()
            self._driver = self._new_driver()
        self.killed[kind] += 1

    def _n_epochs(self) -> int:
        return sum(what == "epoch" for what, *_ in read_ledger(self.root))

    def _workers(self) -> list[psutil.Process]:
        """Those that train and got further since they took over their trial.

        One that only starts has no trial to lose, and a trial that lost three at the same place would be given up.
        """
        further = {}
        for what, _, _, pid in read_ledger(self.root):
            if what in ("start", "saved"):
                further[pid] = what == "saved"
        found = []
        for node in self._nodes:
            for process in psutil.Process(node.all_processes["raylet"][0].process.pid).children():
                with suppress(psutil.NoSuchProcess):  # or a zombie
                    at_work = process.cmdline()[:1] and process.cmdline()[0].startswith("ray::ResourceTrainable.train")
                    if at_work and further.get(process.pid):
                        found.append(process)
        return sorted(found, key=lambda process: process.pid)


# What came of it


def figures(root: Path, n_trials: int) -> dict[str, Any]:
    """What was trained, recorded and told to MLflow, as plain data."""
    ledger = read_ledger(root)
    trained = Counter((number, epoch) for what, number, epoch, _ in ledger if what == "epoch")
    home = open_home(root / "home")
    trials = recorded_trials(home.sweep("chaos"))
    recorded = {(trial.number, epoch) for trial in trials for epoch in trial.intermediate_values}
    client = MlflowClient(home.tracking_uri)
    runs = client.search_runs([client.get_experiment_by_name("chaos").experiment_id])
    children = [(int(run.info.run_name.split("-")[1]), run) for run in runs if "-" in run.info.run_name]
    told = [
        (number, point.step) for number, run in children for point in client.get_metric_history(run.info.run_id, METRIC)
    ]
    statuses = {trial.number: TrialState.of_optuna(trial.state).mlflow for trial in trials}
    return {
        "trials": len(trials),
        "missing": n_trials - len(trials),
        "states": Counter(TrialState.of_optuna(trial.state) for trial in trials),
        "reasons": [trial.user_attrs["reason"] for trial in trials if "reason" in trial.user_attrs],
        "with_gaps": sum(sorted(each.intermediate_values) != list(range(1, last_epoch(each) + 1)) for each in trials),
        "epochs": len(trained),
        "repeated": trained.total() - len(trained),
        "lost": len(set(trained) - recorded) + len(recorded - set(told)),
        "twice": len(told) - len(set(told)) + len(runs) - len({run.info.run_name for run in runs}),
        "unlike": [number for number, run in children if run.info.status != statuses[number]],
        "passed_over": passed_over(ledger),
    }


def recorded_trials(folder: SweepFolder) -> list[FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(folder.journal)))
    return begun_trials(optuna.load_study(study_name=f"chaos/{STUDENT}", storage=storage))


def last_epoch(trial: FrozenTrial) -> int:
    return max(trial.intermediate_values, default=0)


def chaos(seed: int, n_trials: int, seconds_between: float, checkpoint_epochs: int) -> dict[str, Any]:
    """One sweep, killed all the time; its figures."""
    settings = {
        "budget.trials": n_trials,
        "budget.epochs": N_EPOCHS,
        "resources.gpus_per_trial": 0,
        "resources.checkpoint_epochs": checkpoint_epochs,
        # Nodes come and go; a new one is to be used at once.
        "resources.max_concurrent_trials": N_NODES,
        "search.seed": seed,
    }
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_random_corpus(root / "corpus", {"train": 24, "val": 60, "test": 12}, {"wav2vec2": (1, 4)}, n_views=1)
        began = time.monotonic()
        suffering = Chaos(root, seed, settings)
        try:
            suffering.run(seconds_between)
        finally:
            suffering.close()
        killed = {kind: suffering.killed[kind] for kind in KINDS}
        return {"seed": seed, "seconds": time.monotonic() - began, "killed": killed} | figures(root, n_trials)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seconds-between", type=float, default=4.0)
    parser.add_argument("--checkpoint-epochs", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--drive", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.update(RAY_AUTH_MODE="disabled", OMP_NUM_THREADS="1")
    if args.drive:
        drive(Path(args.drive[0]), json.loads(args.drive[1]))
    found = [chaos(seed, args.trials, args.seconds_between, args.checkpoint_epochs) for seed in args.seeds]
    if args.json:
        args.json.write_text(json.dumps(found))
    table = Table("seed", "killed", "seconds", "trials, by state", "epochs", "repeated", "points lost")
    for each in found:
        states = ", ".join(f"{n} {state}" for state, n in each["states"].items())
        killed = ", ".join(f"{n} {kind}s" for kind, n in each["killed"].items())
        share = f"{each['repeated']} ({each['repeated'] / each['epochs']:.1%})"
        cells = each["seed"], killed, round(each["seconds"]), states, each["epochs"], share, each["lost"]
        table.add_row(*map(str, cells))
    Console(width=120).print(table)
    print("targets: at most 5 % of the epochs repeated, no point lost")
    print(machine())


if __name__ == "__main__":
    main()
