"""A real head with dashboard, jobs API and token, and the machine that submits to it: two homes that share nothing."""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import requests

from tests.search.tracking.servers import START_SECONDS, free_port

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Cluster:
    """A head that runs.

    Args:
        address: of its dashboard.
        home: distune's, on the head.
        file: with its token.
    """

    address: str
    home: Path
    file: Path

    @property
    def token(self) -> str:
        return self.file.read_text()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("head")
    (folder / "token").touch(mode=0o600)
    (folder / "token").write_text(secrets.token_hex(32))
    dashboard, client, agent = (free_port() for _ in range(3))
    environment = os.environ | {
        # The head's `python` is the one that Ray runs with, and it finds no distune but the one that is sent.
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
        "DISTUNE_HOME": str(folder / "home"),
    }
    for name in ("PYTHONPATH", "RAY_AUTH_TOKEN", "RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
        environment.pop(name, None)
    # A folder of Ray's own must have a short name: it holds sockets.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as temporary, ExitStack() as stack:
        command = [
            *("ray", "start", "--head", "--block", "--disable-usage-stats", "--num-cpus=2", "--port=0"),
            *(f"--temp-dir={temporary}", "--node-ip-address=127.0.0.1", f"--dashboard-port={dashboard}"),
            *(f"--ray-client-server-port={client}", f"--dashboard-agent-listen-port={agent}"),
            "--object-store-memory=100000000",
        ]
        log = stack.enter_context((folder / "head.log").open("w"))
        head = subprocess.Popen(command, cwd=temporary, env=environment, stdout=log, stderr=log, start_new_session=True)
        stack.callback(end, head)
        running = Cluster(f"http://127.0.0.1:{dashboard}", folder / "home", folder / "token")
        await_dashboard(running, agent, head, folder / "head.log")
        yield running


def await_dashboard(cluster: Cluster, agent: int, head: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert head.poll() is None and time.monotonic() < deadline, log.read_text()
        try:
            # Jobs are taken when the head's agent is up, which the dashboard waits ten seconds for.
            headers = {"Authorization": f"Bearer {cluster.token}"}
            if requests.get(f"{cluster.address}/api/jobs/", headers=headers, timeout=5).status_code == 200:
                requests.get(f"http://127.0.0.1:{agent}", headers=headers, timeout=5)
                return
        except (requests.ConnectionError, requests.Timeout):
            pass
        time.sleep(0.2)


def end(head: subprocess.Popen[bytes]) -> None:
    """End what was started, and whatever it started in turn, which lies in sessions of its own."""
    try:
        started = psutil.Process(head.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        started = []
    head.terminate()
    try:
        head.wait(20)
    except subprocess.TimeoutExpired:
        head.kill()
        head.wait()
    for process in started:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(started, timeout=10)
