"""How large a cluster one driver can serve: ``python benchmarks/cluster.py [--nodes 1 2 4 8 16] [--ray]``.

Trials that sleep, with a real result a second each, run through the real thing: Tune's loop, the searcher, early
stopping, the record, MLflow in SQLite. A node has eight slots, each for one trial.

Hundreds of Ray's workers do not fit a small machine (150 MB and seconds of a core each, before they sleep), so they
are simulated within the driver's process: what Tune asks of an actor is answered when the actor would have. All that
the driver does is real but for Ray's own calls. ``--ray`` runs real actors on real nodes of this machine instead, to
see what these calls add, as far as the machine goes; the last column has the one that grows with the trials at work.

Of each size, once all slots are busy: results handled a second of those that are due, how late they are handled, CPU of
the driver's main thread, of which there is one second a second, and of its whole process, and trials an hour. A driver
is saturated where it falls behind what is due. ``--profile N`` prints the dearest functions with N nodes.
"""

import argparse
import cProfile
import json
import os
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from statistics import median, quantiles
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import optuna
import ray
from common import machine
from ray import tune
from ray.cluster_utils import Cluster
from rich.console import Console
from rich.table import Table
from simulated_workers import CHECKPOINT_EPOCHS, EPOCHS, SECONDS, SimulatedWorkers, result_of

from search.home import open_home
from search.record.origin import Part
from search.record.sweep import SweepRecord
from search.run.nodes import Node
from search.run.profile import Profile
from search.run.resources import start_ray
from search.run.tuning import run_trials
from search.screen.board import SweepBoard
from search.tracking.tracker import Tracker
from spaces.sections import Resources
from spaces.space import Space
from spaces.sweep import SweepConfig

STUDENT, SLOTS = "tiny_conv", 8
ORIGIN = {name: Part(name, {}) for name in ("the clips", "the views", "the teacher", "the teacher's head")}


class Sleeping(tune.Trainable):
    """A trial that learns in its sleep."""

    def setup(self, config: dict[str, Any]) -> None:
        self.number, self.epoch = config["number"], config["reported"]

    def step(self) -> dict[str, Any]:
        time.sleep(SECONDS)
        self.epoch += 1
        return result_of(self.number, self.epoch)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        (Path(checkpoint_dir) / "epoch").write_text(str(self.epoch))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True


@contextmanager
def simulated(n_nodes: int) -> Iterator[None]:
    nodes = [Node(f"node-{index}", "simulated", float(SLOTS), 0.0) for index in range(n_nodes)]
    with ExitStack() as stack:
        start_ray(Resources())
        stack.callback(ray.shutdown)
        stack.enter_context(patch("ray.tune.execution.tune_controller.RayActorManager", SimulatedWorkers))
        stack.enter_context(patch("search.run.tuning.looking", lambda: lambda: nodes))
        yield


@contextmanager
def real(n_nodes: int) -> Iterator[None]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(n_nodes):
        cluster.add_node(num_cpus=SLOTS)
    start_ray(Resources(address=cluster.address))
    try:
        yield
    finally:
        ray.shutdown()
        cluster.shutdown()


class Watch:
    """What the driver does while all slots are busy."""

    def __init__(self, n_slots: int, seconds: float) -> None:
        self.n_slots, self.seconds = n_slots, seconds
        self.began = 0.0
        self.first: tuple[float, float, float] | None = None
        self.last = (0.0, 0.0, 0.0)
        self.epochs = self.ended = 0
        self.late: list[float] = []

    @contextmanager
    def shown(self, board: SweepBoard) -> Iterator[None]:
        self.board = board
        board.listeners.append(self.told)
        yield

    def told(self, kind: str, facts: dict[str, Any]) -> None:
        now = time.monotonic(), time.thread_time(), time.process_time()
        if self.first is None:
            if self.board.n_running >= self.n_slots:
                self.began = self.began or now[0]
            # The start is dearer than what follows: as many trials are drawn and opened in MLflow as there are slots.
            if self.began and now[0] - self.began >= 5 * SECONDS:
                self.first = now
            return
        self.last = now
        self.epochs += kind == "epoch"
        self.ended += kind == "trial_ended"

    @property
    def is_over(self) -> bool:
        return self.first is not None and time.monotonic() - self.first[0] >= self.seconds

    def measured(self, late: list[float]) -> dict[str, float]:
        assert self.first is not None, "the slots were never all busy"
        wall, thread, process = (last - first for first, last in zip(self.first, self.last, strict=True))
        return {
            "due": self.n_slots / SECONDS,
            "handled": self.epochs / wall,
            "late": median(late) if late else float("nan"),
            "late95": quantiles(late, n=20)[-1] if late else float("nan"),
            "thread": thread / wall,
            "process": process / wall,
            "hourly": 3600 * self.ended / wall,
        }


def measure(n_nodes: int, seconds: float, on_ray: bool, profiler: cProfile.Profile | None = None) -> dict[str, float]:
    """One run with so many nodes, ended once all slots have been busy for ``seconds``."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    home, n_slots = open_home(), SLOTS * n_nodes
    folder = home.sweep("cluster").create()
    tree = {
        "name": "cluster",
        "data": {"path": "clips"},
        "students": [STUDENT],
        "budget": {"trials": 20_000, "epochs": EPOCHS},
        "resources": {"gpus_per_trial": 0, "max_concurrent_trials": n_slots, "checkpoint_epochs": CHECKPOINT_EPOCHS},
    }
    sweep = SweepConfig.model_validate(tree)
    space, watch = Space.load(STUDENT), Watch(n_slots, seconds)
    record = SweepRecord(sweep, folder.journal, {STUDENT: space}, 7, ORIGIN)
    nothing = {"read_from": "", "teacher": SimpleNamespace(head_fingerprint=""), "stream": None}
    shared: Any = SimpleNamespace(spaces=record.spaces, n_layers=7, **nothing)
    with (
        (real if on_ray else simulated)(n_nodes),
        Tracker.open(home.tracking_uri, "cluster", home.artifacts, folder.spool) as tracker,
        patch("search.run.tuning.DistillTrainable", Sleeping),
        patch("search.run.tuning.refuse_blind_nodes", lambda *_: None),  # they read nothing
        patch("search.run.tuning.stop_asked", lambda _: lambda: False),
        patch("search.run.meter.Meter.stop_all", lambda _: watch.is_over),
        profiler or nullcontext(),
    ):
        run_trials(record, shared, tracker, folder, Profile(), watch.shown)
    return watch.measured(SimulatedWorkers.late[-watch.epochs :])


def wait_seconds(n_futures: int, repeats: int = 50) -> float:
    """What Ray takes to tell which of so many results is there, as Tune asks before each that it handles."""
    ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    never = ray.remote(resources={"never": 1})(lambda: None)
    futures = [*(never.remote() for _ in range(n_futures - 1)), ray.put(0)]
    began = time.perf_counter()
    for _ in range(repeats):
        ray.wait(list(set(futures)), num_returns=1, timeout=0.1)
    seconds = (time.perf_counter() - began) / repeats
    ray.shutdown()
    return seconds


def measured_apart(n_nodes: int, seconds: float, on_ray: bool) -> dict[str, float]:
    """In a process and a home of its own."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, __file__, "--home", home, "--nodes", str(n_nodes), "--seconds", str(seconds)]
        with (Path(home) / "log").open("w") as log:
            done = subprocess.run([*command, *["--ray"] * on_ray], stdout=log, stderr=log)
        if done.returncode:
            sys.exit((Path(home) / "log").read_text())
        return json.loads((Path(home) / "measured.json").read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=(1, 2, 4, 8, 16, 32, 64))
    parser.add_argument("--seconds", type=float, default=20.0, help="measured, of each size")
    parser.add_argument("--ray", action="store_true", help="real nodes and actors on this machine")
    parser.add_argument("--profile", type=int, metavar="N", help="only print the dearest functions, with N nodes")
    parser.add_argument("--home", help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ |= {"RAY_AUTH_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    if args.profile:
        with tempfile.TemporaryDirectory() as home:
            os.environ["DISTUNE_HOME"] = home
            profiler = cProfile.Profile()
            print(measure(args.profile, args.seconds, args.ray, profiler))
            pstats.Stats(profiler).sort_stats("cumulative").print_stats(60)
        return
    if args.home:
        os.environ["DISTUNE_HOME"] = args.home
        found = measure(args.nodes[0], args.seconds, args.ray)
        found["wait"] = wait_seconds(SLOTS * args.nodes[0])
        (Path(args.home) / "measured.json").write_text(json.dumps(found))
        return
    columns = ("results due a second", "handled", "late, ms", "95 % within", "main thread", "process", "trials an hour",
               "a wait of Ray, ms")  # fmt: skip
    table = Table("nodes", "slots", *columns)
    for n_nodes in args.nodes:
        found = measured_apart(n_nodes, args.seconds, args.ray)
        cells = f"{found['due']:.0f}", f"{found['handled']:.1f}", f"{1000 * found['late']:.0f}"
        cells += f"{1000 * found['late95']:.0f}", f"{found['thread']:.0%}", f"{found['process']:.0%}"
        cells += f"{found['hourly']:,.0f}", f"{1000 * found['wait']:.2f}"
        table.add_row(str(n_nodes), str(SLOTS * n_nodes), *cells)
        print(n_nodes, *cells, file=sys.stderr)
    Console(width=130).print(table)
    print(machine())


if __name__ == "__main__":
    main()
