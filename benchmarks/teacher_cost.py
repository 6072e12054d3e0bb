"""What the teacher costs a trial: ``python benchmarks/teacher_cost.py [--repeats N] [--threads N] [--device cuda]``.

Seconds of an epoch, validation included, at batch size 32, of

a  the student alone, distillation off
b  distune's trial with the teacher's logits
c  the same with alignment of layers 2, 4, 6
d  a plain loop with the teacher inside, as the platform runs it, but the teacher only once a batch

for each student, with the teacher that ships and with a Wav2Vec2-base of random weights. Arms in turn; ratios
within a round, medians over rounds. a to c read a corpus of random numbers, d computes log-mel and teacher from
waveforms of noise: neither's time hangs on what is in them. d runs fewer clips, in the same proportion of training
to validation, and is compared by seconds a clip. The platform passes its teacher 1 + layers times a batch: what c
would cost there is d and three more measured passes.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from common import alternate, machine, median_ratio
from random_corpus import HEAD, write_random_corpus
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from transformers import Wav2Vec2Config, Wav2Vec2Model

from spaces.sections import Teacher
from spaces.trial import TrialConfig
from trainables.audio.frontend import CLIP_SAMPLES, LogMel
from trainables.build import build_run, seeded_student
from trainables.heap import keep_freed_memory
from trainables.losses import class_weights, distillation_loss, student_loss, total_loss
from trainables.optimization import Optimization
from trainables.teachers.base import Encoder
from trainables.teachers.load import load_teacher
from trainables.teachers.wav2vec2 import Wav2Vec2Encoder

BATCH, ALIGNED = 32, [2, 4, 6]
N_CLIPS = {"tiny_conv": 512, "mobilenetv3": 256, "resnet18": 96}
"""Training clips of a to c, so that an epoch takes about a second; a quarter as many for validation."""
PLAIN_CLIPS, PLAIN_ROUNDS = BATCH, 3
B_TO_A, D_TO_B = 1.05, 15.0
C_TO_A = {"tiny_conv": 1.25, "mobilenetv3": 1.10, "resnet18": 1.10}
TRIALS = {
    "a": {"distillation.enabled": False},
    "b": {},
    "c": {"distillation.feature_alignment_enabled": True, "distillation.alignment_layers": ALIGNED},
}


def n_val(n_train: int) -> int:
    return n_train // 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="rounds of a, b, c")
    parser.add_argument("--threads", type=int, default=1, help="of every arm; one is what a sweep gives a trial")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_freed_memory()  # as a worker does
    table = Table(
        "teacher", "student", "a: s an epoch", f"b / a, ≤ {B_TO_A:g}", "c / a, ≤ 1.25 or 1.10", "d: s a batch",
        "in its teacher", f"d / b, base ≥ {D_TO_B:g}", "4 passes / c",
    )  # fmt: skip
    for name, encoder in teachers(args.device):
        for student in N_CLIPS:
            table.add_row(name, student, *measured(student, encoder, args.repeats, args.device))
    console = Console(width=150)
    console.print(f"{machine()}; {args.threads} threads, device {args.device}, batch size {BATCH}")
    console.print(
        f"a to c: {N_CLIPS} training clips and a quarter as many for validation, {args.repeats} rounds; "
        f"d: {PLAIN_CLIPS} + {n_val(PLAIN_CLIPS)} clips, {PLAIN_ROUNDS} rounds"
    )
    console.print(table)


def teachers(device: str) -> Iterator[tuple[str, Encoder]]:
    shipped = load_teacher(Teacher()).members["wav2vec2"]
    yield "shipped (1.3 M)", shipped.to(device)
    torch.manual_seed(0)
    base = Wav2Vec2Encoder(Wav2Vec2Model(Wav2Vec2Config()).eval(), normalise=True)
    yield f"random base ({sum(p.numel() for p in base.parameters()) / 1e6:.0f} M)", base.to(device)


def measured(student: str, encoder: Encoder, repeats: int, device: str) -> list[str]:
    """The cells of one row, targets marked."""
    n_train = N_CLIPS[student]
    with tempfile.TemporaryDirectory() as folder:
        sizes = {"train": n_train, "val": n_val(n_train), "test": 2}
        corpus = write_random_corpus(Path(folder), sizes, {encoder.name: (encoder.n_layers, encoder.dim)})
        config = {"model.architecture": student, "training.batch_size": BATCH, "training.epochs": 10_000}
        runs = {arm: build_run(config | trial, corpus, HEAD, {}, device) for arm, trial in TRIALS.items()}
        seconds = {arm: lambda run=run: run.step()["epoch_seconds"] for arm, run in runs.items()}
        alternate(seconds, 1)  # warms up
        ours = alternate(seconds, repeats)
    loop = PlainLoop(student, encoder, device)
    plain = [loop.epoch() for _ in range(PLAIN_ROUNDS)]
    clip = {arm: median(values) / (n_train + n_val(n_train)) for arm, values in ours.items()}
    plain_clip = median(epoch.seconds for epoch in plain) / loop.n_clips
    extra_clip = len(ALIGNED) * median(epoch.teacher_seconds for epoch in plain) / loop.n_clips
    b_to_a, c_to_a = median_ratio(ours["b"], ours["a"]), median_ratio(ours["c"], ours["a"])
    d_to_b, is_base = plain_clip / clip["b"], encoder.dim == Wav2Vec2Config().hidden_size
    return [
        f"{median(ours['a']):.3f}",
        held(b_to_a, b_to_a <= B_TO_A),
        held(c_to_a, c_to_a <= C_TO_A[student]),
        f"{plain_clip * BATCH:.2f}",
        f"{median(epoch.teacher_seconds / epoch.seconds for epoch in plain):.0%}",
        held(d_to_b, d_to_b >= D_TO_B) if is_base else f"{d_to_b:.3g}",
        f"{(plain_clip + extra_clip) / clip['c']:.3g}",
    ]


def held(value: float, met: bool) -> str:
    """A ratio, and whether its target is met."""
    return f"{value:.3g} {'met' if met else '[bold]not met[/bold]'}"


class PlainEpoch(NamedTuple):
    seconds: float
    teacher_seconds: float


class PlainLoop:
    """Training with the teacher inside: log-mel, teacher and student, batch by batch, training and validation.

    Step, loss and student are distune's own, so that nothing but the teacher makes the difference.
    """

    def __init__(self, student: str, encoder: Encoder, device: str) -> None:
        config = TrialConfig.from_flat({"model.architecture": student, "training.batch_size": BATCH})
        self.config, self.encoder, self.device = config, encoder, torch.device(device)
        # As DistillRun has it.
        self.student = seeded_student(config).to(self.device, memory_format=torch.channels_last)
        self.head, self.log_mel = nn.Linear(encoder.dim, 2), LogMel()
        self.optimization = Optimization(self.student.parameters(), config, 1, self.device)
        self.weights = class_weights(torch.tensor([0, 1]), 2, config.loss).to(self.device)
        generator = torch.Generator().manual_seed(0)
        sizes = {"train": PLAIN_CLIPS, "val": n_val(PLAIN_CLIPS)}
        self.clips = {split: torch.randn(n, CLIP_SAMPLES, generator=generator) / 10 for split, n in sizes.items()}
        self.n_clips = sum(sizes.values())

    def epoch(self) -> PlainEpoch:
        self.teacher_seconds, started = 0.0, time.perf_counter()
        self.student.train()
        for waveforms in self.clips["train"].split(BATCH):
            self.optimization.step(self.loss(waveforms))
        self.student.eval()
        with torch.inference_mode():
            for waveforms in self.clips["val"].split(BATCH):
                self.loss(waveforms).item()
        return PlainEpoch(time.perf_counter() - started, self.teacher_seconds)

    def loss(self, waveforms: Tensor) -> Tensor:
        labels = (torch.arange(len(waveforms)) % 2).to(self.device)
        started = time.perf_counter()
        with torch.inference_mode():
            told = self.head(self.encoder.encode(waveforms)[:, -1])
        self.teacher_seconds += time.perf_counter() - started
        logits = self.student(self.log_mel(waveforms).to(self.device))
        terms = {
            "student": student_loss(logits, labels, labels == 2, self.weights, self.config.loss),
            "distillation": distillation_loss(logits, told.clone().to(self.device), 2.0),
        }
        return total_loss(terms, self.config.distillation)


if __name__ == "__main__":
    main()
