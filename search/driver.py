"""Who is at work on a sweep, and asking it to stop: through the sweep's folder alone, so from any terminal or machine.

A driver holds a lock for as long as it lives, says in a file who it is, and looks now and then for a request to stop.
"""

import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from spaces.errors import Fault, InputError

LOCK, NOTE, REQUEST = "driver.lock", "driver.json", "stop.request"
PATIENCE_SECONDS = 0.5  # with those who only look whether the lock is held
SECONDS_BETWEEN_LOOKS = 0.5


class StoppedError(KeyboardInterrupt):
    """The user asked for it from another terminal; like Ctrl-C, it is no fault that anyone else may catch."""


@dataclass(frozen=True)
class Driver:
    """The process that runs a sweep, and since when, seconds since 1970."""

    pid: int
    host: str
    since: float

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine."""
        return self.host == platform.node()


@contextmanager
def be_driver(folder: Path) -> Iterator[None]:
    """Be the driver of the sweep in ``folder``, which is made where it is missing, and gone again if it stays empty.

    The lock of one that died, however it died, holds nobody.

    Raises:
        InputError: another driver is at work on the sweep.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=PATIENCE_SECONDS, poll_interval=0.05)
    except Timeout:
        remedy = f"another process is running this sweep{_named(_noted(folder))}; wait for it, stop it with " \
                 f"`distune stop {folder.name}`, or take another name with --name"  # fmt: skip
        raise InputError(Fault(str(folder), "name", folder.name, remedy)) from None
    try:
        (folder / REQUEST).unlink(missing_ok=True)
        note = Driver(os.getpid(), platform.node(), time.time())
        (folder / NOTE).write_text(json.dumps(asdict(note)), encoding="utf-8")
        yield
    finally:
        for name in (REQUEST, NOTE):
            (folder / name).unlink(missing_ok=True)
        if [path.name for path in folder.iterdir()] == [LOCK]:
            (folder / LOCK).unlink()
            folder.rmdir()
        lock.release()


def driver_of(folder: Path) -> Driver | None:
    """Who is at work on the sweep in ``folder``; ``None`` where nobody is."""
    if not (folder / LOCK).exists():
        return None
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        # It may be on its way to noting who it is.
        return _noted(folder) or Driver(0, "", time.time())
    lock.release()
    return None


def ask_to_stop(folder: Path) -> None:
    """Leave a request that the sweep's driver, if there is one, soon finds."""
    (folder / REQUEST).touch()


def stop_asked(folder: Path, clock: Callable[[], float] = time.monotonic) -> Callable[[], bool]:
    """A cheap question: whether the driver of ``folder`` was asked to stop. It looks at most twice a second."""
    asked, looked = False, float("-inf")

    def look() -> bool:
        nonlocal asked, looked
        if not asked and clock() - looked >= SECONDS_BETWEEN_LOOKS:
            looked = clock()
            asked = os.path.exists(folder / REQUEST)  # of storage that is away too, where a Path would raise
        return asked

    return look


def _noted(folder: Path) -> Driver | None:
    with suppress(OSError, ValueError, TypeError):
        return Driver(**json.loads((folder / NOTE).read_text(encoding="utf-8")))
    return None


def _named(driver: Driver | None) -> str:
    return f" (process {driver.pid} on {driver.host})" if driver else ""
