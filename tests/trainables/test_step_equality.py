"""What makes a step faster changes no result: each optimisation on and off, from the same seed.

Float addition in another order moves the last bits, which training then carries on. Losses agree to one part in a
thousand after three epochs; where the order of additions stays, they are equal bit for bit (test_placement.py, and
here for the memory that is kept).
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from trainables.build import build_run
from trainables.heap import keep_freed_memory
from trainables.run import DistillRun

TOLERANCE = 1e-3
TRIAL = {
    "training.epochs": 3,
    "training.batch_size": 6,
    "training.learning_rate": 1e-4,  # a wild run carries the last bits far
    "optimizer.warmup_epochs": 0,
    "optimizer.gradient_clip": 0.5,
    "distillation.feature_alignment_enabled": True,
    "distillation.alignment_layers": [1, 3],
}
STUDENTS = ("tiny_conv", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mobilenetv3", "resnet18")))


@pytest.fixture
def losses(corpus_folder: Path, head: str) -> Callable[..., list[float]]:
    """Training and validation loss of each epoch of a student's run, after a change to the fresh run."""

    def train(student: str, change: Callable[[DistillRun], Any] = lambda run: None) -> list[float]:
        run = build_run(TRIAL | {"model.architecture": student}, corpus_folder, head, {"metric": "val_f1"})
        change(run)
        results = [run.step() for _ in range(3)]
        return [result[name] for result in results for name in ("train_loss", "val_loss")]

    return train


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def without_channels_last(run: DistillRun) -> None:
    run.student.to(memory_format=torch.contiguous_format)


def without_a_fused_optimizer(run: DistillRun) -> None:
    for group in run.optimization.optimizer.param_groups:
        group["fused"], group["foreach"] = False, False


def clipped_by_torch_itself(run: DistillRun) -> None:
    run.optimization._clip = lambda longest: nn.utils.clip_grad_norm_(run.optimization.parameters, longest)


def on_two_threads(run: DistillRun) -> None:
    torch.set_num_threads(2)


SLOW = pytest.param(on_two_threads, marks=pytest.mark.slow)  # spins where the cores are busy
CHANGES = [without_channels_last, without_a_fused_optimizer, clipped_by_torch_itself, SLOW]


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("student", STUDENTS)
def test_losses_are_the_same_without_an_optimisation(losses, student, change):
    assert losses(student, change) == pytest.approx(losses(student), rel=TOLERANCE)


@pytest.mark.usefixtures("one_thread")
def test_losses_are_the_same_bit_for_bit_where_freed_memory_is_kept(losses):
    before = losses("tiny_conv")
    keep_freed_memory()
    assert losses("tiny_conv") == before
