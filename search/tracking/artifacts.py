"""What MLflow shows of a student beside numbers: its plots and its best configuration, as files of its parent run."""

from pathlib import Path

from search.export import export_yaml
from search.home import Home, SweepFolder
from search.log import logged_to
from search.plots.write import write
from search.record.results import SweepResults
from search.screen.steps import Steps
from search.tracking.tracker import Tracker

BEST = "best.yaml"
DRAWN = ".drawn"  # written last, what the plots are of


def log_artifacts(results: SweepResults, home: Home, folder: SweepFolder, steps: Steps) -> None:
    """Draw the plots of students with trials, and send them with the best configuration's YAML.

    The files stay in the sweep's folder. A student of whom nothing has ended since its plots were drawn is left alone.
    """
    due = [student for student in results.sweep.students if results.trials.get(student)
           and _noted(folder, student) != _ended(results, student)]  # fmt: skip
    if not due:
        return
    uri = results.sweep.tracking.uri or home.tracking_uri
    with (
        logged_to(folder.log),
        Tracker.open(uri, results.sweep.name, home.artifacts, folder.spool) as tracker,
        steps("drawing plots") as tell,
    ):
        for done, student in enumerate(due):
            tell(done, len(due))
            tracker.log_files(student, _written(results, folder, student))


def _noted(folder: SweepFolder, student: str) -> str | None:
    file = folder.plots(student) / DRAWN
    return file.read_text(encoding="utf-8") if file.exists() else None


def _ended(results: SweepResults, student: str) -> str:
    """How many trials and confirming runs are over, which only grows."""
    n_trials = sum(trial.state.is_finished() for trial in results.trials[student])
    found = results.confirmed.get(student)
    return f"{n_trials} trials, {sum(len(arm.runs) for arm in found.arms) if found else 0} confirming runs\n"


def _written(results: SweepResults, folder: SweepFolder, student: str) -> dict[str, Path]:
    into = folder.plots(student)
    into.mkdir(parents=True, exist_ok=True)
    files = write(results, folder, student, into)
    if best := results.to_export(student):
        files[BEST] = into / BEST
        files[BEST].write_text(export_yaml(results, best), encoding="utf-8")
    (into / DRAWN).write_text(_ended(results, student), encoding="utf-8")
    return files
