"""The MLflow UI on a sweep's store: started on loopback, linked to the sweep, stopped with Ctrl-C."""

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

from search.tracking.settings import MLFLOW_SETTINGS
from search.tracking.store import absolute_uri, is_server, open_client, without_password
from spaces.errors import COMMAND_LINE, Fault, InputError

LOOPBACK = "127.0.0.1"
START_SECONDS = 60.0
STOP_SECONDS = 10.0
TAIL_LINES = 20


def open_ui(
    tracking_uri: str,
    experiment_name: str | None,
    port: int | None = None,
    open_browser: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Show a sweep in MLflow; returns on Ctrl-C, or at once where ``tracking_uri`` is a server already.

    Args:
        tracking_uri: the store that the sweep was recorded in.
        experiment_name: the sweep's name, ``None`` for the list of all.
        port: on loopback; ``None`` takes a free one.
        say: where the link goes.

    Raises:
        InputError: the store cannot be used, holds no such sweep, or the port is taken.
        RuntimeError: the UI did not come up; the message ends with what it wrote.
    """
    fragment = _fragment(tracking_uri, experiment_name)
    if is_server(tracking_uri):
        _show(without_password(tracking_uri.rstrip("/")) + fragment, open_browser, say)
        return
    try:
        with _stopped_by_signals(), serve(tracking_uri, port) as (url, process):
            say("The MLflow UI runs until Ctrl-C.")
            _show(url + fragment, open_browser, say)
            process.wait()
            raise RuntimeError(f"the MLflow UI at {url} ended by itself with status {process.returncode}")
    except KeyboardInterrupt:
        return


@contextmanager
def serve(tracking_uri: str, port: int | None = None) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """An MLflow server on loopback over a database, as ``(url, process)``; stopped at the end, however it comes.

    Raises:
        InputError: the port is taken.
        RuntimeError: it did not come up; the message ends with what it wrote.
    """
    chosen = _free_port(port)
    url = f"http://{LOOPBACK}:{chosen}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", absolute_uri(tracking_uri)]
    command += ["--host", LOOPBACK, "--port", str(chosen), "--workers", "1", "--no-serve-artifacts"]
    # Its job runner is for evaluating language models, and would be three more processes.
    environment = MLFLOW_SETTINGS | os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with tempfile.TemporaryDirectory(prefix="distune-ui-") as folder, (Path(folder) / "log").open("w+b") as log:
        # A group of its own, so that its workers end with it, and Ctrl-C reaches it through us alone.
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, process_group=0
        )
        try:
            _await(url, process, log)
            yield url, process
        finally:
            _stop(process)


def _fragment(tracking_uri: str, experiment_name: str | None) -> str:
    """The part of the UI's address that names the experiment."""
    client = open_client(tracking_uri)
    if experiment_name is None:
        return "/#/experiments"
    experiment = client.get_experiment_by_name(experiment_name)
    if experiment is None:
        known = sorted(found.name for found in client.search_experiments() if found.name != "Default")
        remedy = f"is not recorded in {without_password(tracking_uri)}, which holds {known or 'no sweep'}"
        raise InputError(Fault(COMMAND_LINE, "name", experiment_name, remedy))
    return f"/#/experiments/{experiment.experiment_id}"


def _show(url: str, open_browser: bool, say: Callable[[str], None]) -> None:
    say(f"MLflow UI: {url}")
    # Without a display, webbrowser would start a text browser in this very terminal.
    if open_browser and (sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        webbrowser.open(url)


def _free_port(port: int | None) -> int:
    with socket.socket() as probe:
        # As the server will: a port whose last connections are still fading is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port or 0))
        except (OSError, OverflowError) as error:
            remedy = f"cannot be listened on ({error}); choose another or leave it out"
            raise InputError(Fault(COMMAND_LINE, "--port", port, remedy)) from None
        return int(probe.getsockname()[1])


def _await(url: str, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(f"{url}/health"):
        if process.poll() is not None or time.monotonic() > deadline:
            ended = f"ended with status {process.returncode}" if process.returncode is not None else "does not answer"
            raise RuntimeError(f"the MLflow UI at {url} {ended} after {START_SECONDS:g} s at most:\n{_tail(log)}")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    # A proxy named in the environment does not reach loopback.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


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
    """A closed terminal and a polite kill end the UI as Ctrl-C does; they would leave the server behind."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
