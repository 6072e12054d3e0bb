"""Real disks for tests that can be full, fail or hang, where this user may mount them; else the test is skipped."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FILLER = "filler"
SYSTEM_PYTHON = "/usr/bin/python3"  # which sees Debian's python3-fusepy
PATIENCE_SECONDS = 60


@contextmanager
def small_disk(path: Path, kilobytes: int) -> Iterator[Path]:
    """A disk of so many kilobytes at ``path``, a new folder, in memory."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(path)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk takes root")
    try:
        yield path
    finally:
        # Lazily: a process that is on its way out may still hold a file.
        subprocess.run(["umount", "-l", str(path)], check=True)


def fill(disk: Path) -> None:
    """Take all the room that is left; again, what was freed since."""
    with (disk / FILLER).open("ab", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError:
                continue


def make_room(disk: Path) -> None:
    (disk / FILLER).unlink()


class BadDisk:
    """A folder seen through a file system of our own (FUSE), which can fail every call, or hang."""

    def __init__(self, process: subprocess.Popen[bytes], path: Path) -> None:
        self._process, self.path = process, path

    def fail(self) -> None:
        """On return each call ends in EIO: the signal alone takes a while to be heard."""
        self._process.send_signal(signal.SIGUSR1)
        self._until(answers=False)

    def heal(self) -> None:
        """On return calls succeed again."""
        self._process.send_signal(signal.SIGUSR2)
        self._until(answers=True)

    def _until(self, answers: bool) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._answers() != answers:
            assert time.monotonic() < deadline, "the file system heeds no signal"
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            os.statvfs(self.path)  # which the kernel caches nothing of
        except OSError:
            return False
        return True

    def hang(self) -> None:
        """From now on no call ends, until ``go_on``."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def bad_disk(path: Path, behind: Path) -> Iterator[BadDisk]:
    """``behind``, a new folder, seen at ``path``, another."""
    usable = (
        subprocess.run([SYSTEM_PYTHON, "-c", "import fusepy"], capture_output=True) if shutil.which("mount") else None
    )
    if os.geteuid() or usable is None or usable.returncode or not Path("/dev/fuse").exists():
        pytest.skip("a disk that fails takes root, FUSE and `apt install python3-fusepy`")
    path.mkdir()
    behind.mkdir()
    server = Path(__file__).with_name("bad_disk.py")
    process = subprocess.Popen([SYSTEM_PYTHON, str(server), str(behind), str(path)], stdout=sys.stderr)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not os.path.ismount(path):
            assert process.poll() is None and time.monotonic() < deadline, "the file system did not come up"
            time.sleep(0.05)
        yield BadDisk(process, path)
    finally:
        process.send_signal(signal.SIGCONT)
        subprocess.run(["umount", "-l", str(path)], check=False)
        process.terminate()
        process.wait()
