"""What measuring on a stream costs a trial: ``python benchmarks/stream_objective.py [--epochs N] [--rounds N]``.

For each student, processor time on one thread of an epoch of training over random clips and of one measuring over
generated sound with a wake word now and then, in turn, medians over rounds:

- what a window costs of what training on a clip does: ``trainables.stream.epochs.WINDOW_COST`` must not be less;
- the share of a trial's time that measuring takes at the interval that follows from the counts: at most a tenth, and
  none where the stream is too long for that.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
import soundfile
import torch
from common import alternate, machine, median_ratio
from random_corpus import HEAD, write_random_corpus

from trainables.audio.frontend import SAMPLE_RATE
from trainables.build import build_run
from trainables.heap import keep_freed_memory
from trainables.run import DistillRun
from trainables.stream.detector import Streaming
from trainables.stream.epochs import SHARE, WINDOW_COST, StreamEpochs, affordable_interval, epochs_due
from trainables.stream.heard import Recipe, make_stream
from trainables.stream.recordings import LABELS, find_recordings

N_CLIPS = {"tiny_conv": 512, "mobilenetv3": 256, "resnet18": 96}
SECONDS = {"tiny_conv": 60, "mobilenetv3": 20, "resnet18": 10}
SETS = (1_000, 10_000, 100_000)
HOURS = (0.1, 1.0, 10.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=30, help="of a trial")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    for student in N_CLIPS:
        with tempfile.TemporaryDirectory() as folder:
            report(student, built(student, Path(folder), args.epochs), args.epochs, args.rounds)
    print(machine())


def built(student: str, folder: Path, n_epochs: int) -> DistillRun:
    n = N_CLIPS[student]
    corpus = write_random_corpus(folder / "corpus", {"train": n, "val": 16, "test": 16}, {"wav2vec2": (4, 64)})
    stream = make_stream(
        Recipe(find_recordings(write_sound(folder / "hours", SECONDS[student])), (), Streaming()), corpus
    )
    trial = {"model.architecture": student, "training.epochs": n_epochs}
    return build_run(trial, corpus, HEAD, {"stream": folder / "hours", "stream_epochs": 1}, stream=stream.name)


def write_sound(folder: Path, seconds: int) -> Path:
    """Noise, in which a second every ten is told to be the wake word."""
    folder.mkdir()
    samples = np.random.default_rng(0).normal(scale=0.1, size=seconds * SAMPLE_RATE)
    soundfile.write(folder / "noise.wav", samples, SAMPLE_RATE)
    rows = [f"noise.wav,{start},{start + 1}\n" for start in range(3, seconds, 10)]
    (folder / LABELS).write_text("".join(["path,start_seconds,end_seconds\n", *rows]))
    return folder


def report(student: str, run: DistillRun, n_epochs: int, rounds: int) -> None:
    on_stream = run.on_stream
    assert isinstance(on_stream, StreamEpochs)

    def seconds(work: object) -> float:
        start = process_time()
        work()  # type: ignore[operator]
        return process_time() - start

    run.epoch = 1  # one that is measured
    arms = {"training": lambda: seconds(run.train_epoch), "stream": lambda: seconds(lambda: run.measure_on(on_stream))}
    taken = alternate(arms, rounds)
    n_clips, n_windows = N_CLIPS[student], on_stream.stream.n_windows
    cost = median_ratio(taken["stream"], taken["training"]) * n_clips / n_windows
    clip_ms = 1000 * median(taken["training"]) / n_clips
    print(
        f"{student}: {clip_ms:.2f} ms of training a clip; a window costs {cost:.2f} of that, counted as {WINDOW_COST:g}"
    )
    for clips in SETS:
        told = [f"{hours:g} h: {share_of(int(36_000 * hours), clips, n_epochs, cost)}" for hours in HOURS]
        print(f"  {clips:,} clips, {n_epochs} epochs; {'; '.join(told)}")


def share_of(n_windows: int, n_clips: int, n_epochs: int, cost: float) -> str:
    """The interval by counts, and the share by what was measured."""
    interval = affordable_interval(n_windows, n_clips, n_epochs)
    if interval is None:
        one = cost * n_windows / n_clips
        return f"more than {SHARE:.0%}, one measuring takes {one:.1f} epochs"
    share = len(epochs_due(interval, n_epochs)) * cost * n_windows / (n_clips * n_epochs)
    return f"every {interval} epochs, {share:.1%} of the training's time"


if __name__ == "__main__":
    main()
