"""What the shell completes after Tab: names of sweeps and of students. Nothing is made, and nothing fails aloud."""

import os
from contextlib import suppress
from pathlib import Path

import typer

import trainables
from search.cluster.notes import submissions
from search.home import VARIABLE, Home
from spaces.errors import InputError
from spaces.sweep import SweepConfig


def complete_sweeps(incomplete: str) -> list[str]:
    """The sweeps whose names begin so, recorded or submitted to a cluster."""
    home = _home()
    names = {*home.sweep_names(), *(submission.name for submission in submissions(home))}
    return [name for name in sorted(names) if name.startswith(incomplete)]


def complete_students(context: typer.Context, incomplete: str) -> list[str]:
    """The students that begin so, of the sweep that the line names where it names one, else of all."""
    # A line that ends with --student has no parameters yet, only words.
    recorded = set(_home().sweep_names())
    named = next((word for word in (context.params.get("name"), *context.args) if word in recorded), None)
    students = _students_of(named) or _all_students()
    return [student for student in students if student.startswith(incomplete)]


def _students_of(name: str | None) -> list[str]:
    # A sweep file that this distune cannot read: the command will tell.
    with suppress(InputError):
        return list(SweepConfig.load(_home().sweep(name).sweep_file).students) if name else []
    return []


def _all_students() -> list[str]:
    # By their files: importing them would load torch, which takes seconds.
    folder = Path(trainables.__path__[0]) / "students"
    return sorted(path.stem for path in folder.glob("*.py") if path.stem not in ("__init__", "base"))


def _home() -> Home:
    # Not opened: that makes it, which pressing Tab should not.
    return Home(Path(os.environ.get(VARIABLE) or "~/.distune").expanduser().absolute())
