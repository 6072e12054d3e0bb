"""What distillation is worth on recorded speech: ``python benchmarks/enable.py [--data DIR] [SET ...]``.

Runs examples/enable.yaml (or goes on with it, where it was interrupted) and confirms the winner of every student:
its best configurations, no distillation and logits alone, each with a learning rate of its own, to the end on the
same fresh seeds. Prints what a sweep prints, and the teacher's metrics beside it. Test clips are read by confirming
alone, after every choice.

``DIR`` holds ``manifest.csv``, ``noise/train`` and ``rir``; by default ``../shared/data/enable`` beside the
checkout. ``SET`` are keys of the sweep file, as ``budget.trials=4`` or ``confirm.seeds=5``.
"""

import argparse
import sys
from pathlib import Path

from common import machine

from search.screen.summary import print_summary
from search.sweep import Sweep
from spaces.sweep import parse_overrides

ROOT = Path(__file__).parents[1]
METRICS = ("f1", "pauc", "eer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/enable")
    parser.add_argument("changes", nargs="*", metavar="SET")
    args = parser.parse_args()
    settings = {
        "data.path": str(args.data.resolve() / "manifest.csv"),
        "data.views.noise": [str(args.data.resolve() / "noise/train")],
        "data.views.rir": [str(args.data.resolve() / "rir")],
        "confirm.students": None,
    }
    results = Sweep.load(ROOT / "examples/enable.yaml", settings | parse_overrides(args.changes)).run()
    print_summary(results, again=" ".join(["python", *sys.argv]))
    for split, metrics in results.facts["teacher_metrics"].items():
        print(f"teacher, {split}: " + ", ".join(f"{name} {metrics[name]:.3f}" for name in METRICS))
    print(machine())


if __name__ == "__main__":
    main()
