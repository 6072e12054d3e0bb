"""A page served on loopback unless told otherwise: started, awaited, found again while it runs, stopped with Ctrl-C."""

import hashlib
import ipaddress
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from filelock import FileLock, Timeout

from spaces.errors import COMMAND_LINE, Fault, InputError

LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"
START_SECONDS = 120.0
STOP_SECONDS = 10.0
TAIL_LINES = 20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Page:
    """What is served, and how.

    Args:
        title: what it is called when it is told of, e.g. ``MLflow UI``.
        command: host and port to the command that serves it there, until it is killed.
        health: path that answers 200 once it is up.
        environment: of the command, beside this process' own.
        identity: what it shows; a page of the same title and identity is the same page.
        open_to: what anyone may do with it who reaches it; ``None`` where it asks for a login.
    """

    title: str
    command: Callable[[str, int], Sequence[str]]
    health: str
    identity: str
    environment: Mapping[str, str] = field(default_factory=dict)
    open_to: str | None = "read and change"


@dataclass(frozen=True)
class Showing:
    """How a page is shown to whoever asked for it.

    Args:
        notes: folder in which a page that runs is noted, for the next call to find.
        port: ``None`` takes that of a page that runs, else a free one.
        host: address to listen on; another than loopback is warned of where the page asks for no login.
        open_browser: open the first link in a browser where there is one.
        say: where the links go, a line each.
    """

    notes: Path
    port: int | None = None
    host: str = LOOPBACK
    open_browser: bool = True
    say: Callable[[str], None] = print

    def tell(self, links: Sequence[str]) -> None:
        """The links, of which the first is opened."""
        for line in links:
            self.say(line)
        # Without a display, webbrowser would start a text browser in this very terminal.
        has_display = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        if self.open_browser and has_display:
            webbrowser.open(links[0].rsplit(" ", 1)[1])


@contextmanager
def serve_page(
    page: Page, port: int | None = None, host: str = LOOPBACK
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The page as ``(url, process)``, once it answers; stopped at the end, however it comes.

    Raises:
        InputError: the port is taken, or ``host`` is no address of this machine.
        RuntimeError: it did not come up; the message ends with what it wrote.
    """
    chosen = _free_port(host, port)
    url = f"http://{LOOPBACK if host == EVERYWHERE else host}:{chosen}"
    environment = os.environ | page.environment
    with tempfile.TemporaryDirectory(prefix="distune-ui-") as folder, (Path(folder) / "log").open("w+b") as log:
        # A group of its own, so that its workers end with it, and Ctrl-C reaches it through us alone.
        command = page.command(host, chosen)
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, process_group=0
        )
        try:
            _await(page, url, process, log)
            yield url, process
        finally:
            _stop(process)


def show_page(page: Page, links: Callable[[str], Sequence[str]], showing: Showing) -> None:
    """Serve the page and tell its links until Ctrl-C; where it is being served already, tell them and return.

    Args:
        links: address of the page to what is told, a line each; the first line ends with the address to open.

    Raises:
        InputError: the port is taken, or the host is no address of this machine.
        RuntimeError: it did not come up, or ended by itself.
    """
    host, say = showing.host, showing.say
    identity = page.identity if is_loopback(host) else f"{page.identity} on {host}"
    digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
    note = showing.notes / f"{page.title.lower().replace(' ', '-')}-{digest}"
    note.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{note}.lock")
    running = None if _taken(lock) else _running(page, note, lock)
    if lock.is_locked:
        # Left by a process that was killed.
        note.unlink(missing_ok=True)
    if running and showing.port in (None, int(running.rsplit(":", 1)[1])):
        showing.tell(links(running))
        say(f"The {page.title} was running already; Ctrl-C ends it where it was started.")
        return
    try:
        with _stopped_by_signals(), serve_page(page, showing.port, host) as (url, process):
            if lock.is_locked:
                note.write_text(url, encoding="utf-8")
            say(f"The {page.title} runs until Ctrl-C.")
            _warn_of_reach(page, host)
            showing.tell(links(url))
            if host == EVERYWHERE:
                say(f"From other machines: the same, with this one's address in place of {LOOPBACK}.")
            process.wait()
            raise RuntimeError(f"the {page.title} at {url} ended by itself with status {process.returncode}")
    except KeyboardInterrupt:
        return
    finally:
        if lock.is_locked:
            note.unlink(missing_ok=True)
            lock.release()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def answers(url: str) -> bool:
    """Whether ``url`` is served with status 200 on this machine."""
    # A proxy named in the environment does not reach loopback.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _taken(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


def _running(page: Page, note: Path, lock: FileLock) -> str | None:
    """The address of the page that another process serves or is about to; ``None`` where that one has ended."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(FileNotFoundError):  # not noted yet, or just ended
            url = note.read_text(encoding="utf-8")
            if url and answers(url + page.health):
                return url
        if _taken(lock):
            return None
        time.sleep(0.1)
    return None


def _warn_of_reach(page: Page, host: str) -> None:
    if page.open_to and not is_loopback(host):
        log.warning(
            "the %s on %s asks for no login: whoever reaches this machine can %s all that it shows; leave --host out "
            "and come through `ssh -L`",
            page.title, host, page.open_to,
        )  # fmt: skip


def _free_port(host: str, port: int | None) -> int:
    with socket.socket() as probe:
        try:
            probe.bind((host, 0))
        except OSError as error:
            remedy = f"is no IPv4 address or name of this machine ({error}); leave it out for loopback"
            raise InputError(Fault(COMMAND_LINE, "--host", host, remedy)) from None
    with socket.socket() as probe:
        # As the server will: a port whose last connections are still fading is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port or 0))
        except (OSError, OverflowError) as error:
            remedy = f"cannot be listened on ({error}); choose another or leave it out"
            raise InputError(Fault(COMMAND_LINE, "--port", port, remedy)) from None
        return int(probe.getsockname()[1])


def _await(page: Page, url: str, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers(url + page.health):
        if process.poll() is not None or time.monotonic() > deadline:
            ended = f"ended with status {process.returncode}" if process.returncode is not None else "does not answer"
            raise RuntimeError(f"the {page.title} at {url} {ended} after {START_SECONDS:g} s at most:\n{_tail(log)}")
        time.sleep(0.1)


def _tail(log: IO[bytes]) -> str:
    log.seek(0)
    return "\n".join(log.read().decode(errors="replace").splitlines()[-TAIL_LINES:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and its workers: asked first, then killed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """A closed terminal and a polite kill end the page as Ctrl-C does; they would leave the server behind."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
