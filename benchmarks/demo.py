"""How long `make demo` takes after installation, and how good what it finds is: ``python benchmarks/demo.py``."""

import subprocess
import tempfile
import time
from pathlib import Path

from common import machine

from search.home import open_home
from search.record.results import SweepResults

ROOT = Path(__file__).parents[1]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        subprocess.run(["make", "demo", f"DEMO={folder}"], check=True, cwd=ROOT)
        minutes = (time.perf_counter() - started) / 60
        results = SweepResults.read(open_home(Path(folder) / "home").sweep("hey-sirius"))
    print(f"make demo: {minutes:.1f} minutes")
    for split in ("val", "test"):
        metrics = results.facts["teacher_metrics"][split]
        print(f"teacher, {split}: F1 {metrics['f1']:.3f}, pAUC {metrics['pauc']:.3f}")
    for student, trials in results.trials.items():
        best, first = results.best(student), trials[0].user_attrs["best"]
        if best:
            print(f"{student}: {len(trials)} trials; best pAUC {best.objective:.3f}, F1 {best.metrics['val_f1']:.3f}; "
                  f"first trial, without distillation, pAUC {first['val_pauc']:.3f}")  # fmt: skip
    print(machine())


if __name__ == "__main__":
    main()
