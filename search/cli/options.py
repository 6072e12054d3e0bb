"""What the commands share: exit statuses, arguments, naming options in faults, trying output before the work."""

import errno
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from search.cli.complete import complete_sweeps
from search.whole import whole_folder
from spaces.errors import COMMAND_LINE, Fault, InputError

FAILED, REFUSED, INTERRUPTED = 1, 2, 130
DISK_FAULTS = {
    errno.ENOSPC: "the disk is full; free some room, or set DISTUNE_HOME to another disk",
    errno.EDQUOT: "your quota of the disk is used up; free some room, or set DISTUNE_HOME to another disk",
    errno.EACCES: "no permission to write there; choose another place, or set DISTUNE_HOME to a folder of your own",
    errno.EROFS: "that disk is read-only; choose another place, or set DISTUNE_HOME to another disk",
}

Name = Annotated[str, typer.Argument(metavar="NAME", help="the sweep's name", autocompletion=complete_sweeps)]
OutsideOption = Annotated[
    bool, typer.Option("--allow-outside", help="let a manifest list files outside its own folder")
]
JsonOption = Annotated[bool, typer.Option("--json", help="for scripts: one JSON object a line on standard output")]


@contextmanager
def naming_options(options: Mapping[str, str]) -> Iterator[None]:
    """Faults of keys, such as ``data.keyword``, are told under the options that set them.

    Args:
        options: key to option.
    """
    try:
        yield
    except InputError as error:
        raise InputError([replace(fault, key=options.get(fault.key, fault.key)) for fault in error.faults]) from None


def disk_fault(error: OSError) -> Fault | None:
    """What a disk that fails amid the work is to the user; ``None`` of an error that says nothing of a disk."""
    if error.errno not in DISK_FAULTS:
        return None
    return Fault(str(error.filename or "writing"), "", None, DISK_FAULTS[error.errno])


def try_file(option: str, path: Path) -> None:
    """Make sure that ``path`` can be written, without touching a file that is there.

    Raises:
        InputError: it is a folder, its folder is missing, or nothing can be written there.
    """
    if path.is_dir():
        raise InputError(Fault(COMMAND_LINE, option, str(path), "is a folder; name a file"))
    if path.is_file() or not path.exists():
        _try_folder(option, path, path.resolve().parent)


def try_new_folder(option: str, path: Path) -> None:
    """Make sure that ``path`` can become a folder, leaving none behind.

    Raises:
        InputError: it is a file, a folder that is not empty, or nothing can be written there.
    """
    found = path.absolute()
    while not found.exists():
        found = found.parent
    if found == path.absolute() and found.is_dir() and any(found.iterdir()):
        remedy = "is not empty; choose a folder that does not exist yet"
        raise InputError(Fault(COMMAND_LINE, option, str(path), remedy))
    _try_folder(option, path, found)


def write_whole(option: str, path: Path, text: str) -> None:
    """Write a file in one step; a failure leaves what was there.

    Raises:
        InputError: it cannot be written.
    """
    whole = not path.exists() or path.is_file()
    # What is neither file nor folder, such as /dev/stdout, can only be written to.
    path = path.resolve() if whole else path
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp") if whole else path
    try:
        temporary.write_text(text, encoding="utf-8")
        if whole:
            temporary.replace(path)
    except OSError as error:
        if whole:
            temporary.unlink(missing_ok=True)
        raise InputError(_unwritable(option, path, error)) from None


def write_whole_folder(option: str, path: Path, texts: Mapping[str, str]) -> None:
    """Make a folder of files in one step, in the place of nothing or of an empty one.

    Args:
        texts: file name to content.

    Raises:
        InputError: it cannot be written.
    """
    try:
        with whole_folder(path) as folder:
            for name, text in texts.items():
                (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(_unwritable(option, path, error)) from None


def _try_folder(option: str, path: Path, folder: Path) -> None:
    # By writing: permissions say nothing of a full disk or a read-only mount.
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0")
    except OSError as error:
        raise InputError(_unwritable(option, path, error)) from None


def _unwritable(option: str, path: Path, error: OSError) -> Fault:
    remedy = f"cannot be written ({error.strerror}); make room or choose another place"
    return Fault(COMMAND_LINE, option, str(path), remedy)
