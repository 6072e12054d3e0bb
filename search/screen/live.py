"""The live table of a sweep in the terminal; plain lines where there is none."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from search.record.states import TrialState
from search.screen.board import StudentBoard, SweepBoard

REFRESHES_PER_SECOND = 2


@contextmanager
def shown(board: SweepBoard, console: Console | None = None) -> Iterator[None]:
    """Show the board while the sweep runs: a table that keeps itself up to date, or a line a finished trial."""
    console = console or Console()
    if console.is_terminal:
        with Live(get_renderable=lambda: render(board), console=console, refresh_per_second=REFRESHES_PER_SECOND):
            yield
        return
    console.print(f"sweep {board.name}", markup=False, highlight=False, soft_wrap=True)
    board.on_end = lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True)
    try:
        yield
    finally:
        board.on_end = None


def render(board: SweepBoard) -> Table:
    """The board as a table, one row a student and the whole sweep below."""
    table = Table(title=f"sweep {board.name}", title_justify="left", show_footer=True)
    # The calls that feed the board come from another thread than the one that draws it.
    with board.lock:
        rows = list(board.students.values())
        ended = {state: sum(row.ended[state] for row in rows) for state in (TrialState.PRUNED, TrialState.FAILED)}
        table.add_column("student", footer="all" if len(rows) > 1 else "", no_wrap=True)
        for heading, footer in (
            ("done", f"{sum(row.done for row in rows)}/{sum(row.target for row in rows)}"),
            ("pruned", str(ended[TrialState.PRUNED])),
            ("failed", str(ended[TrialState.FAILED])),
            ("running", str(board.n_running)),
            (f"best {board.metric}", ""),
            ("its F1", ""),
            ("time used", duration(board.seconds_used())),
            ("time left", duration(board.seconds_left())),
        ):
            table.add_column(heading, footer=footer, justify="right")
        for student, row in board.students.items():
            table.add_row(student, *_cells(row, board.clock()))
    return table


def duration(seconds: float | None) -> str:
    """``0:42``, ``12:05`` or ``3:07:30``; a dash where it is unknown."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _cells(row: StudentBoard, now: float) -> list[str]:
    return [
        f"{row.done}/{row.target}",
        str(row.ended[TrialState.PRUNED]),
        f"[red]{row.ended[TrialState.FAILED]}[/red]" if row.ended[TrialState.FAILED] else "0",
        str(len(row.running)),
        "-" if row.best is None else f"{row.best:.3f}",
        "-" if row.best_f1 is None else f"{row.best_f1:.2f}",
        duration(row.seconds_used(now)),
        duration(row.seconds_left(now)),
    ]
