"""The live table of a sweep in the terminal; plain lines where there is none."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from search.record.states import TrialState
from search.screen.board import StudentBoard, SweepBoard

Show = Callable[[SweepBoard], AbstractContextManager[None]]
"""Shows a board while a sweep runs."""

REFRESHES_PER_SECOND = 2
WIDE = 100  # columns, from which the trend has room
TREND, WIDE_TREND = 8, 24  # columns
MOST_TRIALS = 8  # at work, that have a line each
SPARKS, ASCII_SPARKS = "▁▂▃▄▅▆▇█", "_.-=+*%#"


@contextmanager
def shown(board: SweepBoard, console: Console | None = None) -> Iterator[None]:
    """Show the board while the sweep runs: a table that keeps itself up to date, or a line a finished trial."""
    console = console or Console()
    if console.is_terminal and not console.is_dumb_terminal:
        with Live(_Screen(board), console=console, refresh_per_second=REFRESHES_PER_SECOND):
            yield
        return
    console.print(title(board), markup=False, highlight=False, soft_wrap=True)

    def tell(kind: str, facts: dict[str, Any]) -> None:
        if kind == "trial_ended" and facts["state"] != TrialState.INTERRUPTED:
            console.print(line(board.metric, facts), markup=False, highlight=False, soft_wrap=True)

    board.listeners.append(tell)
    try:
        yield
    finally:
        board.listeners.remove(tell)


def title(board: SweepBoard) -> str:
    return f"sweep {board.name}" + (", confirming" if board.stage == "confirm" else "")


def line(metric: str, ended: dict[str, Any]) -> str:
    """An ended trial in words: ``tiny_conv 5/8 finished val_pauc 0.912 F1 0.88 [3 running, 0:42 left]``."""
    words = [ended["student"], f"{ended['done']}/{ended['target']}", ended["state"]]
    if ended["state"] != TrialState.FINISHED:
        words.append(f"at epoch {ended['epoch']}")
    if ended["objective"] is not None:
        words.append(f"{metric} {ended['objective']:.3f}")
    if ended["f1"] is not None:
        words.append(f"F1 {ended['f1']:.2f}")
    left = "" if ended["seconds_left"] is None else f", {duration(ended['seconds_left'])} left"
    return " ".join([*words, f"[{ended['running']} running{left}]"])


class _Screen:
    """The board as it is each time that it is drawn, as wide as the terminal is then."""

    def __init__(self, board: SweepBoard) -> None:
        self.board = board

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield render(self.board, options.max_width, options.ascii_only)


def render(board: SweepBoard, width: int = 80, ascii_only: bool = False) -> Group:
    """The students side by side, what early stopping saved, and where each trial at work is."""
    # The calls that feed the board come from another thread than the one that draws it.
    with board.lock:
        return Group(
            Text.assemble((title(board), "bold"), f": {board.metric}, {_times(board)}"),
            *([Text(part)] if (part := board.part()) else []),
            _students(board, width, ascii_only),
            *([Text(_saved(board))] if board.epochs_saved else []),
            *_trials_at_work(board),
        )


def _times(board: SweepBoard) -> str:
    used, left = f"{duration(board.seconds_used())} used", board.seconds_left()
    if left is None:
        return used
    return f"{used}, {duration(left)} left" + (f", then {board.follows}" if board.follows else "")


def _saved(board: SweepBoard) -> str:
    due = board.epochs_saved + board.epochs_trained
    return f"early stopping saved {board.epochs_saved} of {due} epochs ({board.epochs_saved / due:.0%})"


def _students(board: SweepBoard, width: int, ascii_only: bool) -> Table:
    """One row a student and, of several, the whole sweep below."""
    rows, now, left = board.students, board.clock(), board.seconds_left_of()
    several, trend = len(rows) > 1, TREND if width < WIDE else WIDE_TREND
    gap = 0 if width < WIDE else 1  # beside the one that the box has
    table = Table(box=SIMPLE_HEAD, show_footer=several, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0))
    ended = {state: sum(row.ended[state] for row in rows.values()) for state in _ENDS}
    done, target = sum(row.done for row in rows.values()), sum(row.target for row in rows.values())
    table.add_column("student", footer="all", no_wrap=True, overflow="ellipsis")
    for heading, footer in (
        ("ended", f"{done}/{target}"),
        ("fin-\nished", str(ended[TrialState.FINISHED])),
        ("pruned", str(ended[TrialState.PRUNED])),
        ("failed", str(ended[TrialState.FAILED])),
        ("run-\nning", str(board.n_running)),
        ("best", ""),
        ("its\nF1", ""),
    ):
        table.add_column(heading, footer=footer, justify="right", no_wrap=True)
    table.add_column("trend", no_wrap=True, min_width=trend)
    table.add_column("per\nhour", footer=_rate(board.trials_an_hour()), justify="right", no_wrap=True)
    table.add_column("time\nleft", footer=duration(board.seconds_left()), justify="right", no_wrap=True)
    sparks = ASCII_SPARKS if ascii_only else SPARKS
    for student, row in rows.items():
        cells = _cells(row, sparkline(row.bests, trend, sparks))
        table.add_row(student, *cells, _rate(row.trials_an_hour(now)), duration(left[student]))
    return table


_ENDS = TrialState.FINISHED, TrialState.PRUNED, TrialState.FAILED


def _cells(row: StudentBoard, trend: str) -> list[str | Text]:
    failed = row.ended[TrialState.FAILED]
    return [
        f"{row.done}/{row.target}",
        str(row.ended[TrialState.FINISHED]),
        str(row.ended[TrialState.PRUNED]),
        Text(str(failed), style="bold red" if failed else ""),
        str(len(row.running)),
        "-" if row.best is None else f"{row.best:.3f}",
        "-" if row.best_f1 is None else f"{row.best_f1:.2f}",
        trend,
    ]


def _trials_at_work(board: SweepBoard) -> Iterator[Text]:
    """A line a trial: how far it is and where it runs; of many, the rest counted by place."""
    at_work = [(student, row, *trial) for student, row in board.students.items() for trial in row.running.items()]
    for student, row, number, trial in at_work[:MOST_TRIALS]:
        value = "" if trial.objective is None else f", {board.metric} {trial.objective:.3f}"
        where = f", on {trial.where}" if trial.where else ", starting"
        told = f"{student} {number}: epoch {trial.epoch} of {row.epochs}{value}{where}"
        yield Text(told, style="dim", no_wrap=True, overflow="ellipsis")
    if rest := [trial.where or "starting" for *_, trial in at_work[MOST_TRIALS:]]:
        places = ", ".join(f"{rest.count(where)} on {where}" for where in dict.fromkeys(rest))
        yield Text(f"and {len(rest)} more: {places}", style="dim", no_wrap=True, overflow="ellipsis")


def sparkline(values: Sequence[float], width: int, sparks: str = SPARKS) -> str:
    """How the values went, from their least to their greatest; of more than ``width``, every so manieth.

    >>> sparkline([0.2, 0.5, 0.5, 0.9], 8)
    '▁▄▄█'
    """
    if not values:
        return ""
    n = min(width, len(values))
    kept = [values[-1 - (n - 1 - place) * (len(values) - 1) // max(1, n - 1)] for place in range(n)]
    low, high = min(kept), max(kept)
    top = len(sparks) - 1
    return "".join(sparks[round((value - low) / (high - low) * top) if high > low else 0] for value in kept)


def duration(seconds: float | None) -> str:
    """``0:42``, ``12:05`` or ``3:07:30``; a dash where it is unknown."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _rate(trials_an_hour: float | None) -> str:
    return "-" if trials_an_hour is None else f"{trials_an_hour:.{0 if trials_an_hour >= 10 else 1}f}"
