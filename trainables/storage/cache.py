"""A node's own copies of what lies on storage: fetched once, whole or not there, shared by all processes of the node.

Under ``$DISTUNE_CACHE``, by default ``$DISTUNE_HOME``, by default ``~/.distune``::

    corpora/<fingerprint>/     also those that were built here
    data/<listing>/            clips and recordings, named by what storage listed

A copy that lies on storage too holds a file ``.fetched``, which each process that reads the copy keeps locked. Where
room is wanted, on the disk or under ``$DISTUNE_CACHE_GB``, such copies go that nobody reads, the longest unused first.
"""

import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from spaces.errors import Fault, InputError
from trainables.storage.path import File, Progress, StoragePath

HOME, CACHE, LIMIT = "DISTUNE_HOME", "DISTUNE_CACHE", "DISTUNE_CACHE_GB"
KINDS = ("corpora", "data")
FETCHED, FETCHING = ".fetched", ".fetching"

log = logging.getLogger(__name__)
_in_use: dict[Path, int] = {}
"""The copies that this process reads, until it ends: a map stays open as long as any tensor over it."""


@dataclass(frozen=True)
class Cache:
    """The copies under ``root``.

    Args:
        limit_bytes: most that copies of storage may take; ``None``: what the disk has.
    """

    root: Path
    limit_bytes: int | None = None

    @classmethod
    def here(cls, home: Path | None = None) -> Self:
        """This node's, as its environment says.

        Args:
            home: distune's home, where the environment does not say.

        Raises:
            InputError: a limit that is no number of gigabytes.
        """
        chosen = os.environ.get(CACHE) or home or os.environ.get(HOME) or "~/.distune"
        return cls(Path(chosen).expanduser().absolute(), _limit(os.environ.get(LIMIT)))

    @property
    def corpora(self) -> Path:
        return self.root / "corpora"

    @property
    def data(self) -> Path:
        return self.root / "data"

    def keep(
        self,
        folder: Path,
        place: StoragePath,
        listed: Callable[[], Mapping[str, File]],
        complete: Callable[[Path], bool] = Path.is_dir,
        progress: Progress = lambda done, of: None,
    ) -> Path:
        """A copy, fetched where it is missing or lacks something, and in use by this process from now on.

        Args:
            folder: its place under one of the cache's kinds.
            place: what it is a copy of.
            listed: the files that belong to it, asked only where it is not complete.
            complete: whether a folder has all that is wanted.
            progress: told of files fetched and files in all.

        Raises:
            InputError: there is no room for it.
            StorageError: it cannot be fetched.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not complete(folder):
                files = {name: file for name, file in listed().items() if not (folder / name).exists()}
                self._make_room(sum(file.size for file in files.values()), folder)
                _fetch(place, files, folder, progress)
            _use(folder)
        return folder

    def copied(self, folder: Path) -> None:
        """Note of a folder that was made here that storage has it now, so that it may go when room is wanted."""
        (folder / FETCHED).touch()
        _use(folder)

    def _make_room(self, n_bytes: int, wanted: Path) -> None:
        """Let copies other than the one that is wanted go, until there is room for so many bytes more."""
        for copy in sorted(self._copies(), key=_last_used):
            if self._room() >= n_bytes:
                return
            if copy != wanted:
                _let_go(copy)
        room = self._room()
        if room < n_bytes:
            remedy = f"is to hold {n_bytes / 1e9:.3g} GB more and has room for {room / 1e9:.3g} GB on " \
                     f"{os.uname().nodename}; free some, raise {LIMIT}, or set {CACHE} to another disk"  # fmt: skip
            raise InputError(Fault(str(self.root), "", None, remedy))

    def _room(self) -> int:
        free = shutil.disk_usage(self.root).free
        if self.limit_bytes is None:
            return free
        return min(free, self.limit_bytes - sum(map(_size, self._copies())))

    def _copies(self) -> list[Path]:
        copies = [marker.parent for kind in KINDS for marker in (self.root / kind).glob(f"*/{FETCHED}")]
        return [copy for copy in copies if copy.suffix != FETCHING]


def _fetch(place: StoragePath, files: Mapping[str, File], folder: Path, progress: Progress) -> None:
    """Add files to a folder, or make it of them, in whole files; what a killed process left of that goes first."""
    new = folder.with_name(folder.name + FETCHING)
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        place.download(files, new, progress)
        if not folder.exists():
            (new / FETCHED).touch()
            new.rename(folder)
            return
        for name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).rename(folder / name)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _use(folder: Path) -> None:
    """Keep a copy from going, from now until this process ends."""
    marker = folder / FETCHED
    if folder in _in_use or not marker.exists():
        return
    _in_use[folder] = os.open(marker, os.O_RDWR)
    fcntl.flock(_in_use[folder], fcntl.LOCK_SH)
    os.utime(marker)


def _let_go(folder: Path) -> None:
    """Remove a copy, unless it is being fetched or read."""
    with suppress(Timeout, OSError), FileLock(f"{folder}.lock", timeout=0), open(folder / FETCHED, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        log.info("%s goes from this node: room is wanted, and storage has it", folder)
        gone = folder.with_name(folder.name + FETCHING)
        shutil.rmtree(gone, ignore_errors=True)
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _last_used(folder: Path) -> float:
    with suppress(OSError):
        return (folder / FETCHED).stat().st_mtime
    return 0.0


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _limit(told: str | None) -> int | None:
    if not told:
        return None
    with suppress(ValueError):
        if (limit := float(told)) > 0:
            return int(limit * 1e9)
    raise InputError(Fault("environment", LIMIT, told, "is no number of gigabytes above 0; correct it or unset it"))
