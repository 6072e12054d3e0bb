"""Saving a teacher: the folder is there whole, or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from safetensors import SafetensorError

from spaces.errors import Fault, InputError

CONFIG_FILE, WEIGHTS_FILE, PREPROCESSOR_FILE = "config.json", "model.safetensors", "preprocessor_config.json"
TEACHER_FILES = {CONFIG_FILE, WEIGHTS_FILE, PREPROCESSOR_FILE}


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A temporary sibling that becomes ``folder`` when the block ends well, and is removed when it does not.

    Raises:
        InputError: the folder cannot be written, or holds files that are not a teacher's and would be lost.
    """
    folder = folder.expanduser().absolute()
    temporary, replaced = (folder.parent / f".{folder.name}.{uuid4().hex[:8]}.{end}" for end in ("new", "old"))
    try:
        _refuse_other_files(folder)
        temporary.mkdir(parents=True)
        yield temporary
        for path in temporary.iterdir():
            # safetensors writes files that their owner alone can read; these get what the folder got.
            path.chmod(temporary.stat().st_mode & 0o666)
        if folder.exists():
            folder.rename(replaced)
        temporary.rename(folder)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        remedy = f"cannot be written ({reason}); choose a folder that can, with room for the teacher"
        raise InputError(Fault(str(folder), "", None, remedy)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


def _refuse_other_files(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(Fault(str(folder), "", None, "is a file; name a folder for the teacher"))
    others = sorted(path.name for path in folder.iterdir() if path.name not in TEACHER_FILES)
    if others:
        remedy = f"holds {others[0]!r}, which is not a teacher's and would be lost; name a new folder"
        raise InputError(Fault(str(folder), "", None, remedy))
