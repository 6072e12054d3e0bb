"""What a corpus costs to build, to keep, to open and to share: ``python benchmarks/corpus.py``.

Build: clips a second, and the share of wall time inside the teacher's forward pass, by hooks on the encoder; with the
teacher that ships and with a randomly initialised Wav2Vec2-base. Size: bytes a clip on disk. Opening: `Corpus.open` on
arrays of 100,000 clips. Memory: processes that each train an epoch of tiny_conv on one corpus and then read all of it;
a page that several map counts for each in part (proportional set size, of /proc/PID/smaps).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from common import machine
from generated_clips import write_clips
from numpy.lib.format import open_memmap
from random_corpus import HEAD, write_random_corpus
from rich.console import Console
from rich.table import Table
from transformers import Wav2Vec2Config, Wav2Vec2Model

from spaces.sections import Data, Objective, Views
from spaces.sections import Teacher as TeacherConfig
from spaces.trial import TrialConfig
from trainables.audio.check import load_clips
from trainables.audio.entries import SPLITS
from trainables.audio.frontend import N_FRAMES, N_MELS
from trainables.audio.views import ViewMaker
from trainables.build import build_run
from trainables.corpus.build import build_corpus
from trainables.corpus.recipe import Recipe
from trainables.corpus.store import MANIFEST, Corpus
from trainables.teachers.base import Encoder
from trainables.teachers.load import load_teacher
from trainables.teachers.wav2vec2 import Wav2Vec2Encoder

ROOT = Path(__file__).parents[1]
N_VIEWS = 4
SHIPPED_SIZE = {"wav2vec2": (7, 128)}
ALIGNED = {"distillation.feature_alignment_enabled": True, "distillation.alignment_layers": [2, 4, 6]}
TARGET_SHARE, TARGET_OPEN_SECONDS, TARGET_GROWTH = 0.9, 1.0, 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="builds of each corpus, of which the median is told")
    parser.add_argument("--clips", type=int, default=400, help="of a build with the shipped teacher")
    parser.add_argument("--trials", type=int, nargs="+", default=(1, 2, 4), help="processes on one corpus")
    parser.add_argument("--trial", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.trial:
        be_a_trial(args.trial)
        return
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as folder:
        console.print(build_table(Path(folder), args.clips, args.repeats))
        console.print(open_line(Path(folder)))
        console.print(memory_table(Path(folder), sorted(args.trials)))
    console.print(machine(), highlight=False)


def verdict(met: bool) -> str:
    return "met" if met else "NOT MET"


# Building


def build_table(folder: Path, n_clips: int, repeats: int) -> Table:
    base = Wav2Vec2Encoder(Wav2Vec2Model(Wav2Vec2Config()).eval(), normalise=True)
    arms = {
        "ships, 1.3 M": (load_teacher(TeacherConfig()).members["wav2vec2"], n_clips, N_VIEWS),
        "Wav2Vec2-base, 94 M": (base, 80, 1),
    }
    table = Table("teacher", "clips", "views", "clips a second", "forward's share", f"at least {TARGET_SHARE}",
                  "bytes a clip", title="the teacher pass")  # fmt: skip
    for name, (encoder, n, n_views) in arms.items():
        clips = load_clips(Data(path=write_clips(folder / f"clips.{n}", n)))
        recipe = Recipe(clips, ViewMaker(Views(count=n_views)), {"wav2vec2": encoder})
        builds = [timed_build(recipe, encoder, folder / f"corpora.{n}.{i}") for i in range(repeats)]
        speed, share = median(n / seconds for seconds, _, _ in builds), median(inside for _, inside, _ in builds)
        size = f"{builds[0][2] / n:,.0f}"
        table.add_row(name, str(n), str(n_views), f"{speed:.1f}", f"{share:.3f}", verdict(share >= TARGET_SHARE), size)
    return table


def timed_build(recipe: Recipe, encoder: Encoder, corpora: Path) -> tuple[float, float, int]:
    """Seconds, the share of them in forward passes, and bytes on disk."""
    corpora.mkdir()
    inside, entered = 0.0, 0.0

    def enter(*_: object) -> None:
        nonlocal entered
        entered = time.perf_counter()

    def leave(*_: object) -> None:
        nonlocal inside
        if encoder.device.type == "cuda":
            torch.cuda.synchronize()  # so that the figure is the GPU's; it costs the build a little
        inside += time.perf_counter() - entered

    hooks = encoder.register_forward_pre_hook(enter), encoder.register_forward_hook(leave)
    started = time.perf_counter()
    corpus = build_corpus(recipe, corpora)
    seconds = time.perf_counter() - started
    for hook in hooks:
        hook.remove()
    return seconds, inside / seconds, sum(path.stat().st_size for path in corpus.rglob("*") if path.is_file())


# Opening


def open_line(folder: Path, n_clips: int = 100_000) -> str:
    corpus = write_sparse_corpus(folder / "large", n_clips)
    seconds = median(timed(lambda: Corpus.open(corpus, HEAD)) for _ in range(5))
    met = verdict(seconds < TARGET_OPEN_SECONDS)
    return f"opening a corpus of {n_clips:,} clips: {1000 * seconds:.1f} ms; under {TARGET_OPEN_SECONDS:g} s: {met}\n"


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def write_sparse_corpus(folder: Path, n_clips: int) -> Path:
    """Arrays as large as a real corpus', that take no room on disk."""
    n_layers, dim = SHIPPED_SIZE["wav2vec2"]
    for split, share in zip(SPLITS, (8, 1, 1), strict=True):
        (folder / split).mkdir(parents=True)
        n, k = n_clips * share // 10, N_VIEWS if split == "train" else 1
        shapes = {
            "mel": (n, k, N_MELS, N_FRAMES),
            "hidden.wav2vec2": (n, k, n_layers, dim),
            f"logits.{HEAD}": (n, k, 2),
        }
        for name, shape in shapes.items():
            open_memmap(folder / split / f"{name}.npy", "w+", np.float16, shape)
        for name, dtype in (("labels", np.int64), ("hard", np.bool_)):
            np.save(folder / split / f"{name}.npy", np.zeros(n, dtype))
    teachers = {"wav2vec2": {"n_layers": n_layers, "dim": dim, "rms": 1.0}}
    (folder / MANIFEST).write_text(json.dumps({"teachers": teachers}), encoding="utf-8")
    return folder


# Memory


def be_a_trial(corpus: Path) -> None:
    """Train an epoch, read all the rest, tell so, and stay until standard input ends."""
    torch.set_num_threads(1)
    config = TrialConfig.from_flat({"model.architecture": "tiny_conv", "training.epochs": 9, **ALIGNED})
    run = build_run(config.flat(), corpus, HEAD, Objective().model_dump())
    run.step()
    for split in Corpus.open(corpus, HEAD).splits.values():
        for array in (split.mel, split.logits, *split.hidden.values()):
            for start in range(0, len(array), 256):
                array[start : start + 256].max()
    print("read", flush=True)
    sys.stdin.read()


def memory_table(folder: Path, counts: list[int], n_clips: int = 3000) -> Table:
    corpus = write_random_corpus(folder / "shared", {"train": n_clips, "val": 300, "test": 300}, SHIPPED_SIZE, N_VIEWS)
    size = sum(path.stat().st_size for path in corpus.rglob("*.npy"))
    table = Table("trials", "corpus' pages, MB", "a further trial adds of the corpus", f"at most {TARGET_GROWTH:.0%}",
                  "a trial's own memory, MB", title=f"memory on one corpus of {size / 1e6:.0f} MB")  # fmt: skip
    first: tuple[int, int] | None = None
    for count in counts:
        mapped, everything = (sum(sizes) for sizes in zip(*memory_of_trials(corpus, count), strict=True))
        grown, met = "", ""
        if first and count > first[0]:
            share = (mapped - first[1]) / (count - first[0]) / size
            grown, met = f"{share:.1%}", verdict(share <= TARGET_GROWTH)
        first = first or (count, mapped)
        table.add_row(str(count), f"{mapped / 1e6:.0f}", grown, met, f"{(everything - mapped) / count / 1e6:.0f}")
    return table


def memory_of_trials(corpus: Path, count: int) -> list[tuple[int, int]]:
    """Of each process: proportional bytes of the corpus' mappings, and of all it has."""
    command = [sys.executable, __file__, "--trial", str(corpus)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(count)]
    try:
        for process in processes:
            assert process.stdout and process.stdout.readline() == "read\n", "a trial failed; see above"
        return [proportional_bytes(process.pid, corpus) for process in processes]
    finally:
        for process in processes:
            process.communicate()


def proportional_bytes(pid: int, corpus: Path) -> tuple[int, int]:
    mapped, everything, ours = 0, 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        key, _, value = line.partition(":")
        if "-" in line.split(maxsplit=1)[0]:  # the head of a mapping, its addresses and file
            ours = str(corpus) in line
        elif key == "Pss":
            everything += 1024 * int(value.split()[0])
            mapped += 1024 * int(value.split()[0]) * ours
    return mapped, everything


if __name__ == "__main__":
    main()
