"""What a search costs: best objective against epochs spent.

``python benchmarks/search_cost.py [--seeds N] [--first-seed N] [--plot FILE]`` replays ``search_curves.jsonl``
through real searchers and schedulers, with simulated workers and a simulated clock. A proposal is never in the table,
half the parameters being continuous: a surrogate fitted to it answers (see `search_surrogate.py`), whose predictions of
held-out curves are printed first. A seed is a world of its own, the same for all arms:

- random: OptunaSearch with Optuna's RandomSampler, every trial to its end
- tpe: OptunaSearch as it comes, every trial to its end
- stock: OptunaSearch and AsyncHyperBandScheduler as they come, told only the length of a trial
- stock+: the same, given distune's known points, grace period and reduction factor
- hyperband: OptunaSearch and HyperBandScheduler as they come
- distune: the record, searcher, ladders and recorder of a sweep, with the defaults that ship

An arm has found the best objective that any of its trials has reported so far. Its ``worth`` is what the configuration
of that trial would give again, in the mean over training seeds: the best of many noisy numbers promises too much.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.samplers import RandomSampler
from ray.tune import Callback
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, HyperBandScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch
from rich.console import Console
from rich.table import Table
from search_curves import EPOCHS, STUDENT, read_table
from search_simulation import METRIC, SimulatedTrial, SimulatedTune
from search_surrogate import N_LAYERS, Curves, World, encoded, held_out, noise_of_seeds, values_of

from search.record.sweep import SweepRecord
from search.run.meter import Meter
from search.run.profile import Profile
from search.run.recorder import Recorder
from search.run.rooms import Rooms
from search.run.scheduler import StudentLadders, restored_ladders
from search.run.searcher import SweepSearcher
from search.run.shares import given_shares
from search.screen.board import SweepBoard
from spaces.space import Space
from spaces.sweep import SweepConfig, parse_overrides

N_WORKERS = 4
N_RANDOM = 64  # trials whose best is to be reached
UNENDING = 100_000  # trials: the epochs end a search here
LENGTH = {"time_attr": "epoch", "metric": METRIC, "mode": "max", "max_t": EPOCHS}

Parts = tuple[Searcher, TrialScheduler, Sequence[Callback]]


@dataclass(frozen=True)
class Task:
    """What an arm searches."""

    sweep: SweepConfig
    space: Space
    seed: int
    folder: Path

    @classmethod
    def of(cls, overrides: Mapping[str, Any], seed: int, folder: Path) -> "Task":
        students = {STUDENT: {"trials": UNENDING, "epochs": EPOCHS}}
        base = SweepConfig.model_validate({"name": "replay", "data": {"path": "."}, "students": students})
        return cls(base.overlaid({**overrides, "search.seed": seed}), Space.load(STUDENT), seed, folder)

    def drawn(self, trial: optuna.Trial) -> dict[str, Any]:
        """The space as OptunaSearch takes one."""
        return {"trial": self.sweep.trial_config(STUDENT, self.space.suggest(trial, N_LAYERS), number=0).flat()}


def random(task: Task) -> Parts:
    return OptunaSearch(task.drawn, METRIC, "max", sampler=RandomSampler(task.seed)), FIFOScheduler(), ()


def tpe(task: Task) -> Parts:
    return OptunaSearch(task.drawn, METRIC, "max", seed=task.seed), FIFOScheduler(), ()


def stock(task: Task) -> Parts:
    return OptunaSearch(task.drawn, METRIC, "max", seed=task.seed), AsyncHyperBandScheduler(**LENGTH), ()


def stock_with_our_settings(task: Task) -> Parts:
    points = list(task.space.enqueued(N_LAYERS).values())
    stopping = task.sweep.early_stopping
    settings = {"grace_period": stopping.grace_epochs, "reduction_factor": stopping.reduction_factor}
    search = OptunaSearch(task.drawn, METRIC, "max", seed=task.seed, points_to_evaluate=points)
    return search, AsyncHyperBandScheduler(**LENGTH, **settings), ()


def hyperband(task: Task) -> Parts:
    return OptunaSearch(task.drawn, METRIC, "max", seed=task.seed), HyperBandScheduler(**LENGTH), ()


def distune(task: Task) -> Parts:
    record = SweepRecord(task.sweep, task.folder / "journal.log", {STUDENT: task.space}, N_LAYERS, origin={})
    profile, board = Profile(), SweepBoard("replay", METRIC, "max")
    board.add_student(STUDENT, UNENDING, EPOCHS)
    rooms = Rooms(given_shares(task.sweep.resources, record.spaces, {None: 0}), "pack", list)
    searcher = SweepSearcher(record, {}, rooms, profile)
    ladders = StudentLadders(restored_ladders(record), METRIC, searcher)
    return searcher, ladders, [Recorder(searcher, ladders, Silent(), board, profile, Meter(record))]


ARMS: dict[str, Callable[[Task], Parts]] = {
    "random": random,
    "tpe": tpe,
    "stock": stock,
    "stock+": stock_with_our_settings,
    "hyperband": hyperband,
    "distune": distune,
}


class Silent:
    """Where MLflow would be told."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **settings: None


class Trace:
    """What an arm has to show after each epoch spent.

    Attributes:
        best: objective, the best that any trial has reported.
        worth: of its configuration.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._leader: SimulatedTrial | None = None
        self.best: list[float] = []
        self.worth: list[float] = []

    def told(self, trial: SimulatedTrial) -> None:
        best, worth = (self.best[-1], self.worth[-1]) if self.best else (-np.inf, -np.inf)
        if trial.best > best:
            worth = self.world.worth(trial.config["trial"]) if trial is not self._leader else worth
            best, self._leader = trial.best, trial
        self.best.append(best)
        self.worth.append(worth)


def searched(curves: Curves, arm: str, overrides: Mapping[str, Any], n_epochs: int, seed: int) -> Trace:
    """One search by one arm in the world of this seed."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    np.random.seed(seed)  # Ray's schedulers draw from it
    world = World(curves, seed)
    trace = Trace(world)
    with tempfile.TemporaryDirectory() as folder:
        searcher, scheduler, callbacks = ARMS[arm](Task.of(overrides, seed, Path(folder)))

        def curve_of(config: Mapping[str, Any], number: int) -> np.ndarray:
            return world.curve(config["trial"], [list(ARMS).index(arm), number])

        SimulatedTune(searcher, scheduler, callbacks, curve_of, trace.told, N_WORKERS).run(n_epochs)
    return trace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=N_RANDOM * EPOCHS, help="spent by every arm")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument(
        "--set", nargs="*", default=[], help="keys of distune's sweep, e.g. early_stopping.scheduler=none"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--plot", type=Path, help="a PNG to write")
    args = parser.parse_args()
    table = read_table()
    rows = np.stack([encoded(values_of(row["params"])) for row in table])
    objective = np.array([row[METRIC] for row in table])
    console = Console()
    curves, groups = Curves.fitted(rows, objective), [row["of"] for row in table]
    for described in (held_out, noise_of_seeds):
        console.print(described(curves, groups))
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    search = partial(searched, curves, overrides=parse_overrides(args.set), n_epochs=args.epochs)
    with ProcessPoolExecutor(args.processes, get_context("spawn")) as pool:
        asked = {arm: [pool.submit(search, arm=arm, seed=seed) for seed in seeds] for arm in args.arms}
        traces = {arm: [future.result() for future in futures] for arm, futures in asked.items()}
    best = {arm: np.array([trace.best for trace in of]) for arm, of in traces.items()}
    worth = {arm: np.array([trace.worth for trace in of]) for arm, of in traces.items()}
    for title, told in (("best objective reported", best), ("worth of that configuration", worth)):
        console.print(progress(title, told))
    if "random" in best:
        console.print(epochs_to_reach(best, best["random"][:, -1]))
    if {"stock", "distune"} <= set(best):
        console.print(wins(best, worth))
    if args.plot:
        plot(best, worth, args.plot)


def shown_epochs(n_epochs: int) -> list[int]:
    return [n for n in (100, 213, 320, 640, 960, 1280) if n <= n_epochs]


def progress(title: str, told: Mapping[str, np.ndarray]) -> Table:
    """Median and quartiles over seeds after some epochs; ``told`` is (seeds, epochs) an arm."""
    epochs = shown_epochs(next(iter(told.values())).shape[1])
    table = Table("arm", *(f"{n} epochs" for n in epochs), title=f"{title}: median (quartiles)", title_justify="left")
    for arm, values in told.items():
        quartiles = np.percentile(values[:, [n - 1 for n in epochs]], [50, 25, 75], axis=0).T
        table.add_row(arm, *("{:.3f} ({:.3f} to {:.3f})".format(*column) for column in quartiles))
    return table


def epochs_to_reach(best: Mapping[str, np.ndarray], goals: np.ndarray) -> Table:
    """Epochs until each seed's best of random search was reached."""
    title = f"epochs until the best of {best['random'].shape[1] // EPOCHS} random trials to the end"
    table = Table("arm", "median", "quartiles", "reached by", title=title, title_justify="left")
    for arm, values in best.items():
        reached = values >= goals[:, None]
        spent = np.where(reached.any(1), reached.argmax(1) + 1.0, np.inf)
        # Between a number and infinity there is no quartile: the higher of two seeds counts.
        low, middle, high = np.percentile(spent, [25, 50, 75], method="higher")
        table.add_row(arm, f"{middle:.0f}", f"{low:.0f} to {high:.0f}", f"{reached.any(1).mean():.0%} of seeds")
    return table


def wins(best: Mapping[str, np.ndarray], worth: Mapping[str, np.ndarray]) -> Table:
    """In how many seeds distune stands above each other arm; a tie is half a win."""
    epochs = shown_epochs(best["distune"].shape[1])
    table = Table("distune against", "by", *(f"{n} epochs" for n in epochs), title="seeds won", title_justify="left")
    for arm in best:
        for by, told in (("objective", best), ("worth", worth)):
            ours, theirs = told["distune"], told[arm]
            share = ((ours > theirs) + 0.5 * (ours == theirs)).mean(0)
            if arm != "distune":
                table.add_row(arm, by, *(f"{share[n - 1]:.0%}" for n in epochs))
    return table


def plot(best: Mapping[str, np.ndarray], worth: Mapping[str, np.ndarray], file: Path) -> None:
    """Median and quartiles against epochs."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(12, 5), sharey=True, layout="constrained")
    titles = "best objective reported", "worth of that configuration, mean over training seeds"
    for panel, title, told in zip(panels, titles, (best, worth), strict=True):
        for arm, values in told.items():
            low, middle, high = np.percentile(values, [25, 50, 75], axis=0)
            epochs = np.arange(1, len(middle) + 1)
            (line,) = panel.plot(epochs, middle, label=arm, linewidth=2 if arm == "distune" else 1.2)
            panel.fill_between(epochs, low, high, color=line.get_color(), alpha=0.12, linewidth=0)
        ticks = [EPOCHS, 50, *shown_epochs(len(epochs))]
        panel.set(title=title, xlabel="epochs spent", xscale="log", xlim=(EPOCHS, len(epochs)))
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    panels[0].set(ylabel=METRIC, ylim=(0.5, 1.0))
    panels[0].legend(loc="lower right")
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
