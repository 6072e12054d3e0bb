"""Real MLflow servers for tests, which may be stopped, killed and started again, and what may stand before them."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle, islice
from pathlib import Path

from search.tracking.settings import MLFLOW_SETTINGS

START_SECONDS = 240


# None that a dashboard tries, from 8265 on, nor that Ray or the system gives to whoever asks for any, from 10002 on:
# somebody would, between the choice of a port and the start of its server.
PORTS = range(8400, 10000)
_untried = islice(cycle(PORTS), os.getpid() * 37 % len(PORTS), None)  # each process begins elsewhere


def free_port() -> int:
    """Another one each time."""
    for port in islice(_untried, len(PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


class Server:
    """An MLflow server on loopback over ``store``, in a process group of its own.

    Args:
        options: of ``mlflow server``; it serves artifacts out of ``folder``.
        environment: beside this process' own.
    """

    def __init__(self, store: str, folder: Path, *options: str, environment: dict[str, str] | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self._command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--workers", "1"]
        self._command += ["--host", "127.0.0.1", "--port", str(self.port), *options]
        self._command += ["--artifacts-destination", str(folder / "served")]
        fewer = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        self._environment = MLFLOW_SETTINGS | os.environ | fewer | (environment or {})
        self.start()

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        log = (self.folder / "server.log").open("ab")
        self._process = subprocess.Popen(
            self._command, cwd=self.folder, env=self._environment, stdout=log, stderr=log, process_group=0
        )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            assert self._process.poll() is None and time.monotonic() < deadline, self._told()
            time.sleep(0.1)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5):
                return True
        except OSError:
            return False

    def signal(self, number: signal.Signals) -> None:
        """To the server and its workers."""
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._process.wait()

    def _told(self) -> str:
        return (self.folder / "server.log").read_text()[-3000:]


@contextmanager
def serving(store: str, folder: Path, *options: str, environment: dict[str, str] | None = None) -> Iterator[Server]:
    server = Server(store, folder, *options, environment=environment)
    try:
        yield server
    finally:
        server.kill()


class Proxy:
    """A real HTTP proxy before a server; ``disturb`` may sleep, or return a status to answer with instead."""

    def __init__(self, upstream: str) -> None:
        self.disturb: Callable[[str], int | None] = lambda path: None
        self.n_disturbed = 0
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status = proxy.disturb(self.path)
                if status is None:
                    status, kind, answer = proxy.ask(upstream + self.path, self.command, body, self.headers)
                else:
                    kind, answer = "text/html", b"<html>Internal Server Error</html>"
                    proxy.n_disturbed += 1
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_PATCH = pass_on  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Requests are not news."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @staticmethod
    def ask(url: str, method: str, body: bytes, headers: object) -> tuple[int, str, bytes]:
        request = urllib.request.Request(url, body or None, method=method)
        request.add_header("Content-Type", headers.get("Content-Type", "application/json"))  # type: ignore[attr-defined]
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.headers.get("Content-Type", ""), response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers.get("Content-Type", ""), error.read()
        except OSError:
            return 502, "text/html", b"<html>Bad Gateway</html>"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def proxied(upstream: str) -> Iterator[Proxy]:
    proxy = Proxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
