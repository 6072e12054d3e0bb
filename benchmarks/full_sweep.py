"""How long a whole sweep takes: ``python benchmarks/full_sweep.py [--trials N --epochs N --clips N] [SET ...]``.

By default 100 trials of tiny_conv, at most 150 epochs each, on 5,000 generated clips in one view: meant for a machine
with a GPU, on which it should take less than ten minutes. ``SET`` are keys of a sweep file, as
``early_stopping.scheduler=none``. Prints minutes, epochs a second and where the seconds went.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import yaml
from common import machine
from generated_clips import write_clips
from rich.console import Console

from search.run.profile import Profile
from search.sweep import Sweep
from spaces.sweep import parse_overrides


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--clips", type=int, default=5_000)
    parser.add_argument("changes", nargs="*", metavar="SET")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DISTUNE_HOME"] = f"{folder}/home"
        tree = {
            "data": {"path": str(write_clips(Path(folder) / "clips", args.clips)), "views": {"count": 1}},
            "teacher": {"allow_weak": True},
            "confirm": {"enabled": False},
            "students": {"tiny_conv": {"trials": args.trials, "epochs": args.epochs}},
        }
        file = Path(folder) / "full-sweep.yaml"
        file.write_text(yaml.safe_dump(tree))
        profile, started = Profile(), time.perf_counter()
        results = Sweep.load(file, parse_overrides(args.changes)).run(profile=profile)
        seconds = time.perf_counter() - started
    frame = results.frame()
    n_epochs = int(frame["epochs"].sum())
    Console(width=110).print(profile.table())
    ended = ", ".join(f"{count} {state}" for state, count in frame["state"].value_counts().items())
    print(f"{len(frame)} trials ({ended}), {n_epochs} epochs of {args.clips} clips in {seconds / 60:.1f} minutes: "
          f"{n_epochs / profile.search_seconds:.2f} epochs a second while searching")  # fmt: skip
    print(machine())


if __name__ == "__main__":
    main()
