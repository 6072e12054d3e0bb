"""Who runs where, for the terminal and as JSON."""

from collections import Counter
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from search.home import SweepFolder
from search.record.at_work import AtWork
from search.record.results import SweepResults
from search.run.sharing import claims_in, told

MOST_TRIALS = 40  # that have a row each


def print_at_work(folder: SweepFolder, results: SweepResults, console: Console) -> None:
    """The trials at work by machine and GPU, of many a count a machine, and the sweep's part of a shared cluster."""
    if part := told(claims_in(folder.path.parent), folder.path.name):
        console.print(part)
    if not results.at_work:
        console.print("no trial has reported yet")
    elif len(results.at_work) > MOST_TRIALS:
        console.print(_counts(results.at_work))
    else:
        console.print(_rows(results.at_work, results.sweep.objective.metric))


def at_work_facts(folder: SweepFolder, results: SweepResults) -> dict[str, Any]:
    """``at_work``: a list of trials with where each runs; ``part``: of a cluster that is shared, in words."""
    if folder.driver is None:
        return {"at_work": [], "part": None}
    part = told(claims_in(folder.path.parent), folder.path.name)
    return {"at_work": [asdict(trial) for trial in results.at_work], "part": part or None}


def _rows(trials: tuple[AtWork, ...], metric: str) -> Table:
    table = _table("machine", "GPU", "trial", "epoch", metric)
    for trial in sorted(trials, key=lambda each: (each.host or "", each.gpus, each.student, each.number)):
        name = f"{trial.student} {trial.number}" + (", confirming" if trial.stage == "confirm" else "")
        value = "-" if trial.objective is None else f"{trial.objective:.3f}"
        table.add_row(trial.host or "-", ", ".join(trial.gpus) or "-", name, f"{trial.epoch}/{trial.epochs}", value)
    return table


def _counts(trials: tuple[AtWork, ...]) -> Table:
    table = _table("machine", "trials", "GPUs")
    by_host = Counter(trial.host or "-" for trial in trials)
    for host, n_trials in sorted(by_host.items()):
        gpus = {gpu for trial in trials if (trial.host or "-") == host for gpu in trial.gpus}
        table.add_row(host, str(n_trials), str(len(gpus) or "-"))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True, justify="left" if column in ("machine", "trial") else "right")
    return table
