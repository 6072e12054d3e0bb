"""How the work before the first trial is shown: a progress bar a step, or a line where there is no terminal."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Tell = Callable[[int, int], None]
"""Told of (done, of)."""
Steps = Callable[[str], AbstractContextManager[Tell]]
"""Names a step of the work and gives what to tell of its progress."""


@contextmanager
def shown_steps(title: str, console: Console | None = None) -> Iterator[Tell]:
    """Show one step on standard error; what it yields is told of (done, of)."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        console.print(title, markup=False)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)


@contextmanager
def silent_steps(title: str) -> Iterator[Tell]:
    """Show nothing, for scripts that read the output."""
    yield lambda done, of: None
