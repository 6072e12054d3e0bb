"""Whose a file is: records and pickles are read where nobody but this user can have written them."""

import os
import stat
import tempfile
from pathlib import Path

from spaces.errors import Fault, InputError


def is_own(path: Path) -> bool:
    """Whether ``path``, a link followed, is this user's, and no other user can write it.

    Raises:
        OSError: there is none.
    """
    status = path.stat()
    if status.st_mode & stat.S_IWOTH:
        return False
    return status.st_uid == os.geteuid() or status.st_uid == _user_in(path if path.is_dir() else path.parent)


def refuse_strangers(folder: Path) -> None:
    """Refuse a folder whose files another user can have written; one that is missing is as well.

    Raises:
        InputError: it is another user's, or all users can write it.
    """
    if not folder.exists() or is_own(folder):
        return
    if folder.stat().st_mode & stat.S_IWOTH:
        raise InputError(Fault(str(folder), "", None, f"can be written by every user; `chmod o-w {folder}`"))
    remedy = (
        f"belongs to another user (number {folder.stat().st_uid}), and what lies there is obeyed; work as that user, "
        "or in a home of your own (DISTUNE_HOME)"
    )
    raise InputError(Fault(str(folder), "", None, remedy))


def _user_in(folder: Path) -> int | None:
    """The user by whom this process' files are in ``folder``: a network disk or a container may map ours to another."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            return os.fstat(probe.fileno()).st_uid
    except OSError:
        return None
