"""How the work before the first trial is shown: a progress bar a step, or a line where there is no terminal."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from search.driver import StoppedError, stop_asked

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
    columns = TextColumn("{task.description}"), BarColumn(), _Count(), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=None, counted=False)
        yield lambda done, of: progress.update(task, completed=done, total=of, counted=True)
        if not progress.tasks[task].fields["counted"]:
            progress.update(task, completed=1, total=1)


class _Count(ProgressColumn):
    """How many are done of how many; nothing of a step that does not count."""

    def render(self, task: Task) -> Text:
        counted = task.fields["counted"] and task.total is not None
        return Text(f"{task.completed:.0f}/{task.total:.0f}" if counted else "")


def heeding(folder: Path, steps: Steps) -> Steps:
    """``steps`` that end where the user asks the driver of ``folder`` to stop.

    Whatever is done by then, such as a part of a teacher's pass, is on disk and need not be done again.
    """
    asked = stop_asked(folder)

    def refuse_to_go_on() -> None:
        if asked():
            raise StoppedError

    @contextmanager
    def heeded(title: str) -> Iterator[Tell]:
        refuse_to_go_on()
        with steps(title) as tell:

            def tell_unless_stopped(done: int, of: int) -> None:
                tell(done, of)
                refuse_to_go_on()

            yield tell_unless_stopped

    return heeded


@contextmanager
def silent_steps(title: str) -> Iterator[Tell]:
    """Show nothing, for scripts that read the output."""
    yield lambda done, of: None
