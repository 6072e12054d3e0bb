"""How cost grows: ``python benchmarks/scale.py [clips] [nodes] [trials] [students] [--out DIR]``; by default all.

clips     1,000 to 100,000 generated clips in one view, with a conformer of a few thousand weights, so that the figures
          are distune's own and hardly the teacher's: reading them, the teacher pass, all of a second start, and for the
          smaller sets an epoch of tiny_conv
nodes     the teacher pass over 1, 2 and 4 Ray nodes on this machine, with a teacher that sleeps for each clip
trials    the driver's seconds per trial in sweeps of 10, 100, 1,000 very short trials (scale_trials.py)
students  the same in sweeps of 1, 2, 3 students

Of each series: the points, the exponent b of seconds = a * x**b fitted on logarithms, and DIR/<series>.png, drawn with
the matplotlib that mlflow brings.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import ray
import torch
from common import machine
from generated_clips import write_clips
from matplotlib import pyplot
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from ray.cluster_utils import Cluster
from rich.console import Console
from rich.table import Table

from search.home import open_home
from search.prepare import teacher_pool
from search.prepare.shared import Shared, make_shared
from search.screen.steps import Tell, silent_steps
from spaces.sections import Data, Views
from spaces.sweep import SweepConfig
from spaces.trial import TrialConfig
from trainables.audio.check import load_clips
from trainables.audio.sounds import SETTLED_NS
from trainables.audio.views import ViewMaker
from trainables.build import build_run
from trainables.corpus.build import build_corpus
from trainables.corpus.recipe import Recipe
from trainables.teachers.base import Encoder
from trainables.teachers.conformer import ConformerConfig, ConformerEncoder

CLIP_COUNTS = (1_000, 5_000, 25_000, 100_000)
EPOCHS_UP_TO = 25_000  # clips; beyond, an epoch's time says nothing new
NODE_COUNTS = (1, 2, 4)
NODE_CLIPS = 1280
SLEEP_SECONDS = 0.04  # a clip
Points = list[tuple[int, float]]
Series = dict[str, Points]  # what is measured, to its points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("series", nargs="*", metavar="SERIES", help=f"among {', '.join(SERIES)}; by default all")
    parser.add_argument(
        "--largest", type=int, default=max(CLIP_COUNTS), help="clips; sets that are larger are left out"
    )
    parser.add_argument("--out", type=Path, default=Path("scale"), help="folder of the pictures")
    args = parser.parse_args()
    if unknown := set(args.series) - set(SERIES):
        parser.error(f"{', '.join(sorted(unknown))}: no such series; choose among {', '.join(SERIES)}")
    args.out.mkdir(parents=True, exist_ok=True)
    os.environ["RAY_AUTH_MODE"] = "disabled"
    for name in args.series or SERIES:
        x_label, y_label, measure = SERIES[name]
        measured = measure(args.largest)
        Console(width=120).print(table_of(name, x_label, y_label, measured))
        draw(args.out / f"{name}.png", x_label, y_label, measured)
    print(f"pictures in {args.out}\n{machine()}")


# Clips


def clips(largest: int) -> Series:
    measured: Series = {}
    for count in CLIP_COUNTS:
        if count <= largest:
            with tempfile.TemporaryDirectory() as folder:
                for what, seconds in of_clips(Path(folder), count).items():
                    measured.setdefault(what, []).append((count, seconds))
    return measured


def of_clips(folder: Path, count: int) -> dict[str, float]:
    """Seconds of each step over so many clips."""
    sweep = sweep_over(write_clips(folder / "clips", count), folder / "teacher")
    home, found = open_home(folder / "home"), {}

    @contextmanager
    def timing(title: str) -> Iterator[Tell]:
        started = time.perf_counter()
        yield lambda done, of: None
        found[title] = time.perf_counter() - started

    time.sleep(SETTLED_NS / 1e9)  # younger files would be read again at the second start
    shared = make_shared(sweep, home, timing)
    started = time.perf_counter()
    make_shared(sweep, home, silent_steps)
    found["second start"] = time.perf_counter() - started
    if count <= EPOCHS_UP_TO:
        found["epoch of tiny_conv"] = epoch_seconds(sweep, shared)
    return found


def sweep_over(data: Path, teacher: Path) -> SweepConfig:
    config = ConformerConfig(dim=16, n_blocks=1, n_heads=2, ffn_dim=16, kernel_frames=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ConformerEncoder(config).save(teacher, None)
    tree: dict[str, Any] = {
        "name": "scale",
        "data": {"path": data, "views": {"count": 1}},
        "teacher": {"architecture": "conformer", "model": str(teacher), "allow_weak": True},
        "students": ["tiny_conv"],
    }
    return SweepConfig.model_validate(tree)


def epoch_seconds(sweep: SweepConfig, shared: Shared) -> float:
    trial = TrialConfig.from_flat({"model.architecture": "tiny_conv", "training.epochs": 9}).flat()
    run = build_run(trial, shared.corpus, shared.teacher.head_fingerprint, sweep.objective.model_dump())
    return float(run.step()["epoch_seconds"])


# Nodes


class Sleeping(Encoder):
    """Takes its time over each clip as a GPU would, without a core of this machine; hears how loud it was."""

    name, n_layers, dim = "sleeping", 1, 1

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """(batch, 24000) -> (batch, 1, 1)."""
        time.sleep(SLEEP_SECONDS * len(waveform))
        return self.scale * waveform.square().mean(dim=1).reshape(-1, 1, 1)

    def description(self) -> dict[str, Any]:
        return {}


def nodes(largest: int) -> Series:
    measured: Series = {"first shard to last": [], "with the start of the workers": []}
    with tempfile.TemporaryDirectory() as folder:
        views = Views(count=1)
        data = write_clips(Path(folder) / "clips", NODE_CLIPS)
        recipe = Recipe(load_clips(Data(path=data, views=views)), ViewMaker(views), {"sleeping": Sleeping()})
        for count in NODE_COUNTS:
            with cluster_of(count):
                for points, seconds in zip(measured.values(), pool_seconds(recipe, Path(folder)), strict=True):
                    points.append((count, seconds))
    return measured


@contextmanager
def cluster_of(count: int) -> Iterator[None]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    for _ in range(count - 1):
        cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        yield
    finally:
        ray.shutdown()
        cluster.shutdown()


def pool_seconds(recipe: Recipe, folder: Path) -> tuple[float, float]:
    """From the moment the workers are up, and from before."""
    corpora = folder / "corpora"
    corpora.mkdir()
    called, up = time.perf_counter(), 0.0
    wait_for_workers = teacher_pool._Pool.wait_for_workers

    def noted(pool: Any) -> None:
        nonlocal up
        wait_for_workers(pool)
        up = time.perf_counter()

    teacher_pool._Pool.wait_for_workers = noted  # type: ignore[method-assign]
    build_corpus(recipe, corpora, fill=teacher_pool.fill_by_pool)
    teacher_pool._Pool.wait_for_workers = wait_for_workers  # type: ignore[method-assign]
    done = time.perf_counter()
    shutil.rmtree(corpora)
    return done - up, done - called


# Trials and students


def trials(largest: int) -> Series:
    from scale_trials import trials

    return {"driver's seconds per trial": trials()}


def students(largest: int) -> Series:
    from scale_trials import students

    return {"driver's seconds per trial": students()}


SERIES = {
    "clips": ("clips", "seconds", clips),
    "nodes": ("nodes", "seconds", nodes),
    "trials": ("trials", "seconds per trial", trials),
    "students": ("students", "seconds per trial", students),
}


# What is shown


def exponent(points: Sequence[tuple[int, float]]) -> float:
    """b of seconds = a * x**b, by least squares on logarithms."""
    x, seconds = np.log(np.array(points, dtype=float)).T
    return float(np.polyfit(x, seconds, 1)[0])


def table_of(name: str, x_label: str, y_label: str, measured: Series) -> Table:
    counts = sorted({count for points in measured.values() for count, _ in points})
    table = Table(f"{y_label} over {x_label}", *(f"{count:,}" for count in counts), "exponent", title=name)
    for what, points in measured.items():
        seconds = dict(points)
        cells = (f"{seconds[count]:.3g}" if count in seconds else "" for count in counts)
        table.add_row(what, *cells, f"{exponent(points):.2f}" if len(points) > 1 else "")
    return table


def draw(path: Path, x_label: str, y_label: str, measured: Series) -> None:
    """A line a quantity on logarithmic axes, the vertical one never under a decade: what is flat should look so."""
    matplotlib.use("agg")
    figure, axes = pyplot.subplots(figsize=(7, 5), layout="constrained")
    for what, points in measured.items():
        told = f", exponent {exponent(points):.2f}" if len(points) > 1 else ""
        axes.loglog(*zip(*points, strict=True), marker="o", label=f"{what}{told}")
    low, high = axes.get_ylim()
    stretch = max(1.0, (10 * low / high) ** 0.5)
    axes.set(xlabel=x_label, ylabel=y_label, ylim=(low / stretch, high * stretch))
    axes.set_xticks(sorted({x for points in measured.values() for x, _ in points}))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter(NullFormatter())
    axes.grid(which="both", alpha=0.3)
    figure.legend(loc="outside lower center", fontsize="small")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
