"""The sweeps that there are, for the terminal."""

import datetime

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from search.home import SweepFolder
from search.overview import Overview, state_of
from search.record.results import SweepResults

STYLES = {"running": "green", "preparing": "green", "interrupted": "yellow", "stopped": "yellow", "elsewhere": "dim"}


def sweeps_table(rows: list[Overview]) -> Table:
    """A row a sweep, and of each student its best objective."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), collapse_padding=True)
    table.add_column("sweep", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("ended", justify="right", no_wrap=True)
    table.add_column("best", overflow="fold")
    table.add_column("last change", no_wrap=True)
    for row in rows:
        table.add_row(
            Text(row.name),
            Text(row.state, style=STYLES.get(row.state, "")),
            _ended(row),
            Text(_best(row)),
            _when(row.when),
        )
    return table


def print_elsewhere(found: Overview, console: Console) -> None:
    """What MLflow has of a sweep that was run from another home."""
    console.print(f"{found.name}: recorded in another home; this is what MLflow has of it, at {found.store}")
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("student")
    table.add_column(f"best {found.metric}".strip(), justify="right")
    for student in found.students:
        best = found.best.get(student)
        table.add_row(student, "-" if best is None else f"{best:.3f}")
    console.print(table)
    console.print(f"trials that are over: {found.ended}; last change {_when(found.when)}")


def standing(folder: SweepFolder, results: SweepResults) -> str:
    """One line: whether somebody is at work on the sweep, or how it was left."""
    if driver := folder.driver:
        since = datetime.datetime.fromtimestamp(driver.since).astimezone()
        return f"running since {_when(since)}: process {driver.pid} on {driver.host}"
    state = state_of(results, is_running=False)
    if state == "stopped":
        return f"stopped by the user, {_when(results.stopped)}"
    return {"limit": "at its limit"}.get(state, state)


def _ended(row: Overview) -> str:
    return f"{row.ended}/{row.target}" if row.target is not None else str(row.ended or "-")


def _best(row: Overview) -> str:
    if row.state == "submitted":
        return f"to {row.store}"
    told = [f"{student} {row.best[student]:.3f}" if student in row.best else f"{student} -" for student in row.students]
    return f"{row.metric}: " * bool(row.best) + ", ".join(told)


def _when(when: datetime.datetime | None) -> str:
    return when.strftime("%Y-%m-%d %H:%M") if when else "-"
