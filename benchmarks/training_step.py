"""What each optimisation of the training step brings: ``python benchmarks/training_step.py [--device cuda]``.

First, for each student, an epoch of a trial that aligns three layers of a Wav2Vec2-base-sized teacher, as distune
runs it and with one thing changed; ratios over 1 say how much slower the change is. Then tiny_conv trials at once:
as many processes, or stacked in one. Arms in turn, medians over rounds; the corpus is random numbers.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from common import alternate, machine, median_ratio
from random_corpus import HEAD, write_random_corpus
from rich.console import Console
from rich.table import Table
from stacked_trials import N_STEPS, grouped, one, seconds_of, seconds_of_processes, vmapped
from torch import Tensor, nn

from trainables.build import build_run
from trainables.heap import keep_freed_memory
from trainables.optimization import Optimization
from trainables.projector import projector
from trainables.run import DistillRun

N_CLIPS = {"tiny_conv": 256, "mobilenetv3": 128, "resnet18": 64}
N_LAYERS, DIM = 13, 768
TRIAL = {
    "distillation.feature_alignment_enabled": True,
    "distillation.alignment_layers": [2, 4, 6],
    "training.batch_size": 32,
    "training.epochs": 10_000,
}
ROUNDS_AT_ONCE = 2
AT_ONCE = {"cpu": (1, 2, 4, 8), "cuda": (1, 2, 4, 8, 16)}
Change = Callable[[DistillRun], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--compile", nargs="*", default=["tiny_conv"], help="students to measure torch.compile on")
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as a worker does
    console = Console(width=150)
    console.print(f"{machine()}; one thread unless told, device {args.device}")
    changes = CHANGES | (CUDA_CHANGES if args.device == "cuda" else {})
    table = Table("time of an epoch over the one as distune runs it", *N_CLIPS)
    columns = [ratios(student, changes, args.repeats, args.device) for student in N_CLIPS]
    table.add_row("as distune runs it, seconds", *(column.pop("as it is") for column in columns))
    for change in changes:
        table.add_row(change, *(column[change] for column in columns))
    table.add_row("torch.compile of the student", *(compiled(name, args) for name in N_CLIPS))
    console.print(table)
    console.print(at_once(args.device))
    if args.device == "cpu":
        why = "give --device cuda" if torch.cuda.is_available() else "no GPU here: not measured"
        console.print(f"autocast, CUDA graphs, trials on one GPU: {why}")


def trial(student: str, folder: str, device: str, **changed: Any) -> DistillRun:
    n = N_CLIPS[student]
    corpus = Path(folder) / "corpus"
    if not corpus.exists():
        write_random_corpus(corpus, {"train": n, "val": n // 4, "test": 2}, {"wav2vec2": (N_LAYERS, DIM)})
    return build_run(TRIAL | {"model.architecture": student} | changed, corpus, HEAD, {}, device)


def ratios(student: str, changes: dict[str, Change], repeats: int, device: str) -> dict[str, str]:
    """Seconds as it is, and each change's time over it."""
    with tempfile.TemporaryDirectory() as folder:
        runs = {name: trial(student, folder, device) for name in ("as it is", *changes)}
        for name, change in changes.items():
            change(runs[name])
        arms = {name: lambda name=name, run=run: epoch(run, name) for name, run in runs.items()}
        alternate(arms, 1)  # warms up
        seconds = alternate(arms, repeats)
    base = seconds.pop("as it is")
    return {"as it is": f"{median(base):.3f}"} | {
        name: f"{median_ratio(values, base):.2f}" for name, values in seconds.items()
    }


def epoch(run: DistillRun, name: str = "") -> float:
    torch.set_num_threads(2 if name == "two threads" else 1)
    seconds: float = run.step()["epoch_seconds"]
    torch.set_num_threads(1)
    return seconds


def compiled(student: str, args: argparse.Namespace) -> str:
    """Ratio of steady epochs, and the seconds that the first took more."""
    if student not in args.compile:
        return "--compile"
    with tempfile.TemporaryDirectory() as folder:
        run, plain = trial(student, folder, args.device), trial(student, folder, args.device)
        run.student.embed = torch.compile(run.student.embed)  # type: ignore[method-assign]
        started = time.perf_counter()
        run.step()
        first = time.perf_counter() - started
        seconds = alternate({"compiled": lambda: epoch(run), "plain": lambda: epoch(plain)}, args.repeats + 1)
    ratio = median_ratio(seconds["compiled"][1:], seconds["plain"][1:])
    return f"{ratio:.2f}, after {first - median(seconds['compiled']):.0f} s of compiling"


def unchanged(run: DistillRun) -> None:
    """For what `epoch` changes."""


def without_channels_last(run: DistillRun) -> None:
    run.student.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


class Separate(nn.Module):
    """A module a layer where distune stacks them."""

    def __init__(self, student_dim: int, n_layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(projector(student_dim, DIM) for _ in range(n_layers))

    def forward(self, embedding: Tensor) -> Tensor:
        return torch.stack([layer(embedding) for layer in self.layers])


def with_separate_projectors(run: DistillRun) -> None:
    run.projectors.of["wav2vec2"] = Separate(run.student.embed_dim, len(run.layers["wav2vec2"])).to(run.device)
    parameters = [*run.student.parameters(), *run.projectors.parameters()]
    run.optimization = Optimization(parameters, run.config, run.steps_per_epoch, run.device)


def with_foreach_optimizer(run: DistillRun) -> None:
    old = run.optimization
    settings = run.config.optimizer
    old.optimizer = torch.optim.AdamW(
        old.parameters, run.config.training.learning_rate, settings.betas, weight_decay=settings.weight_decay,
        foreach=True,
    )  # fmt: skip


def without_autocast(run: DistillRun) -> None:
    run.optimization.half = None


def with_cuda_graphs(run: DistillRun) -> None:
    """The student's forward and backward as graphs, in float32."""
    run.optimization.half = None
    sample = torch.randn(TRIAL["training.batch_size"], 1, 64, 151, device=run.device)  # type: ignore[call-overload]
    run.student.features = torch.cuda.make_graphed_callables(run.student.features, (sample,))


CHANGES: dict[str, Change] = {
    "two threads": unchanged,
    "without channels-last": without_channels_last,
    "projectors separate, not stacked": with_separate_projectors,
    "AdamW foreach, not fused": with_foreach_optimizer,
}
CUDA_CHANGES: dict[str, Change] = {
    "float32, not autocast": without_autocast,
    "CUDA graphs, float32": with_cuda_graphs,
}


def at_once(device: str) -> Table:
    """Steps a second for a core, or for the GPU."""
    whole = "a core" if device == "cpu" else "a GPU"
    table = Table("tiny_conv trials", "as many processes", "one process, by groups", "one process, torch.func",
                  title=f"training steps a second for {whole}, all trials together")  # fmt: skip
    for n in AT_ONCE[device]:
        # Fewer processes than cores leave cores idle, which are not counted.
        n_cores = min(n, os.cpu_count() or 1) if device == "cpu" else 1
        alone, groups, mapped = one(device), grouped(n, device), vmapped(n, device)
        arms = {
            "processes": partial(seconds_of, alone) if n == 1 else partial(seconds_of_processes, n, device),
            "grouped": partial(seconds_of, groups),
            "vmapped": partial(seconds_of, mapped),
        }
        seconds = {arm: median(values) for arm, values in alternate(arms, ROUNDS_AT_ONCE).items()}
        seconds["processes"] *= n_cores
        table.add_row(str(n), *(f"{n * N_STEPS / taken:.1f}" for taken in seconds.values()))
    return table


if __name__ == "__main__":
    main()
