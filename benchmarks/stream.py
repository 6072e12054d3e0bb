"""How much faster than real time a student listens, on one core: ``python benchmarks/stream.py [MODEL ...]``.

Each student over ten minutes of sound, a window every 100 ms, its frames shared between windows, and each window cut
out as a clip of its own (``--exact``); medians over rounds in turn of audio time over processor time. And how far the
two lie apart: the difference of the logits' margins, in standard deviations of the margins over all windows.

``MODEL`` as ``distune evaluate`` takes it; by default students with random weights, whose speed is that of any.
``--stream FOLDER``: recordings to take the ten minutes from; by default noise that rises and falls like speech.
"""

import argparse
from pathlib import Path
from time import process_time

import numpy as np
import torch
from common import alternate, machine

from search.evaluate.model import load_model
from spaces.trial import Model
from trainables.audio.frontend import SAMPLE_RATE
from trainables.stream.judge import Judge, student_judge
from trainables.stream.recordings import find_recordings
from trainables.stream.windows import Listener
from trainables.students import build_student

SECONDS = 600
STUDENTS = ("tiny_conv", "mobilenetv3", "resnet18")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL")
    parser.add_argument("--stream", type=Path)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    samples = recorded(args.stream, args.seconds) if args.stream else generated(args.seconds)
    for name, judge in judges(args.models).items():
        report(name, judge, samples, args.rounds)
    print(machine())


def judges(models: list[Path]) -> dict[str, Judge]:
    if models:
        return {str(path): load_model(path).judge for path in models}
    torch.manual_seed(0)
    return {name: student_judge(build_student(Model(architecture=name))) for name in STUDENTS}


def report(name: str, judge: Judge, samples: np.ndarray, rounds: int) -> None:
    scores: dict[str, np.ndarray] = {}

    def timed(arm: str, listener: Listener) -> float:
        start = process_time()
        scores[arm] = listener.score([samples]).scores
        return len(samples) / SAMPLE_RATE / (process_time() - start)

    shared, exact = Listener(judge), Listener(judge, exact=True)
    arms = {"shared frames": lambda: timed("shared", shared), "clip by clip": lambda: timed("exact", exact)}
    for arm, speeds in alternate(arms, rounds).items():
        print(f"{name}, {arm}: {np.median(speeds):.0f} times real time ({min(speeds):.0f} to {max(speeds):.0f})")
    margins = {arm: np.log(found) - np.log1p(-found) for arm, found in scores.items()}
    apart = np.abs(margins["shared"] - margins["exact"]) / margins["exact"].std()
    print(f"{name}, apart by a median of {np.median(apart):.3f} and in 95 % under {np.quantile(apart, 0.95):.3f} "
          f"standard deviations")  # fmt: skip


def recorded(folder: Path, seconds: int) -> np.ndarray:
    """The recordings of a folder, over and over."""
    pieces = [piece for recording in find_recordings(folder) for piece in recording.pieces()]
    return np.resize(np.concatenate(pieces), seconds * SAMPLE_RATE)


def generated(seconds: int) -> np.ndarray:
    generator = np.random.default_rng(0)
    n_samples = seconds * SAMPLE_RATE
    turns = np.arange(0, n_samples + 3200, 3200)
    loudness_db = np.interp(np.arange(n_samples), turns, generator.uniform(-50, 0, len(turns)))
    return (0.1 * generator.normal(size=n_samples) * 10 ** (loudness_db / 20)).astype(np.float32)


if __name__ == "__main__":
    main()
