"""A real sweep with three secrets, and a real head and MLflow server asked for things without one."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
from mlflow.tracking import MlflowClient

from search.home import open_home
from search.run.enclosed import LOGIN
from search.tracking.settings import PASSWORD as PASSWORD_VARIABLE
from search.tracking.settings import USER
from tests.search.commands import Run
from tests.search.sweeps import processes_of, start
from tests.search.tracking.servers import Server, free_port, serving

pytestmark = pytest.mark.slow

PASSWORD, OTHER_PASSWORD, TOKEN = "pw-in-the-address-7c1", "pw-in-the-environment-2fe", "token-of-ray-" + 48 * "9"
SERVERS_OWN = "flask-key-of-the-server-55d"
SECRETS = (PASSWORD, OTHER_PASSWORD, TOKEN, base64.b64encode(f"admin:{PASSWORD}".encode()).decode())


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with MLflow's own login."""
    pytest.importorskip("flask_wtf", reason="mlflow[auth] is not installed")
    folder = tmp_path_factory.mktemp("guarded")
    own = {"MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD, "MLFLOW_FLASK_SERVER_SECRET_KEY": SERVERS_OWN}
    with serving(f"sqlite:///{folder}/server.db", folder, "--app-name", "basic-auth", environment=own) as server:
        yield server


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """Where Ray puts its sessions; the path of a socket must be short."""
    folder = Path(tempfile.mkdtemp(prefix="d-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)  # Ray's last processes may still write there


class Watched(NamedTuple):
    """What could be seen of a command while it ran.

    Attributes:
        written: on standard output and standard error.
        lines: every command line of it and its processes, as every user of the machine can read them.
        listening: (name of the process, address) of every socket that waited for others.
        environments: of the processes of Ray's workers.
    """

    written: str
    lines: set[str]
    listening: set[tuple[str, str]]
    environments: list[dict[str, str]]


def watched(command: subprocess.Popen[str]) -> Watched:
    lines, listening, environments = set(), set(), {}
    while command.poll() is None:
        for process in processes_of(command):
            with suppress(psutil.NoSuchProcess):
                name = process.name()
                lines.add(" ".join(process.cmdline()))
                sockets = process.net_connections("inet")
                listening |= {(name, socket.laddr.ip) for socket in sockets if socket.status == psutil.CONN_LISTEN}
                if name.startswith("ray::"):
                    environments[process.pid] = process.environ()
        time.sleep(0.2)
    return Watched("".join(command.communicate()), lines, listening, list(environments.values()))


def holding(folder: Path, secrets: tuple[str, ...]) -> set[Path]:
    """The files below ``folder`` in which a secret stands."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert files
    return {path for path in files if any(secret.encode() in path.read_bytes() for secret in secrets)}


def test_no_secret_of_a_sweep_stands_where_others_look_and_none_of_its_ports_is_open_to_them(
    guarded: Server, sweep_file: Callable[..., Path], ray_folder: Path, monkeypatch: pytest.MonkeyPatch, run: Run
):
    home = open_home(sweep_file("unused").parent / "home")
    monkeypatch.setenv("DISTUNE_HOME", str(home.root))
    environment = {"MLFLOW_TRACKING_PASSWORD": OTHER_PASSWORD, "MLFLOW_TRACKING_USERNAME": "ann"}
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "RAY_TMPDIR": str(ray_folder)}
    environment["BROWSER_PATH"] = str(ray_folder / "none")  # no pictures of plots, which take a browser seconds
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    budget = {"trials": 1, "epochs": 1}
    tracking = {"uri": guarded.url.replace("://", f"://admin:{PASSWORD}@")}
    file = sweep_file("secretive", students={"tiny_conv": {}}, budget=budget, tracking=tracking)
    file.chmod(0o600)

    seen = watched(start(file))
    assert any("raylet" in line for line in seen.lines) and any("search.cli.main" in line for line in seen.lines)
    assert run("export", "secretive", "-o", str(home.root / "best.yaml")).status == 0
    assert run("report", "secretive", "-o", str(home.root / "report.html")).status == 0

    assert [secret for secret in SECRETS for line in seen.lines if secret in line] == []
    assert [secret for secret in SECRETS if secret in seen.written] == []
    # Home: records, logs, plots, the exported YAML, the report. Ray: its logs, and what Tune wrote.
    closed = home.sweep("secretive").login_file
    assert holding(home.root, SECRETS) == {closed} and closed.stat().st_mode & 0o077 == 0
    assert holding(ray_folder, SECRETS) == set()
    # MLflow's database (params, tags, inputs) and artifacts, and what its server logs; its users' passwords are hashed.
    assert holding(guarded.folder, (*SECRETS, SERVERS_OWN)) == set()
    # Trials know Ray's token, for they are Ray's; no login. And nothing of it all is reached from another machine.
    assert seen.environments and not any(login in each for login in LOGIN for each in seen.environments)
    assert {"gcs_server", "raylet"} <= {name for name, _ in seen.listening}
    assert {address.removeprefix("::ffff:") for _, address in seen.listening} == {"127.0.0.1"}

    monkeypatch.setenv(USER, "admin"), monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    client = MlflowClient(guarded.url)
    found = client.search_runs([client.get_experiment_by_name("secretive").experiment_id])
    assert {run.info.run_name for run in found} == {"tiny_conv", "tiny_conv-000"}


def status_of(url: str, method: str = "GET", body: dict[str, Any] | None = None, **headers: str) -> int:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/2.0/mlflow/experiments/create", {"name": "stranger"}),
        ("GET", "/api/2.0/mlflow/experiments/search?max_results=1", None),
        ("POST", "/api/2.0/mlflow/runs/create", {"experiment_id": "0"}),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/x/artifacts/file", {}),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts?path=0", None),
        ("GET", "/", None),
    ],
)
def test_mlflow_takes_and_shows_nothing_without_a_login(guarded: Server, method: str, path: str, body: Any):
    wrong = base64.b64encode(b"admin:guessed-password").decode()
    assert status_of(guarded.url + path, method, body) == 401
    assert status_of(guarded.url + path, method, body, Authorization=f"Basic {wrong}") == 401
    right = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    if method == "GET":
        assert status_of(guarded.url + path, method, body, Authorization=f"Basic {right}") == 200


class Head(NamedTuple):
    """Where a head listens: its dashboard as a URL, and what drivers join."""

    url: str
    address: str


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    """One that wants a token."""
    folder, port, joined = Path(tempfile.mkdtemp(prefix="d-")), free_port(), free_port()
    ray = Path(sys.executable).with_name("ray")
    command = [str(ray), "start", "--head", "--block", "--port", str(joined), "--num-cpus", "1"]
    command += ["--node-ip-address", "127.0.0.1"]
    command += ["--dashboard-host", "127.0.0.1", "--dashboard-port", str(port), "--temp-dir", str(folder)]
    environment = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    environment["RAY_DASHBOARD_SUBPROCESS_MODULE_WAIT_READY_TIMEOUT"] = "240"  # 30 s may not do on a busy machine
    log = tmp_path_factory.mktemp("head") / "log"
    with log.open("wb") as out, subprocess.Popen(command, env=environment, stdout=out, stderr=out) as process:
        started = psutil.Process(process.pid)
        try:
            url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 240
            while not dashboard_is_up(url):
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
                time.sleep(0.2)
            yield Head(url, f"127.0.0.1:{joined}")
        finally:
            for each in [*started.children(recursive=True), started]:
                with suppress(psutil.NoSuchProcess):  # workers follow their raylet by themselves
                    each.send_signal(signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def dashboard_is_up(url: str) -> bool:
    try:
        return status_of(f"{url}/api/version", Authorization=f"Bearer {TOKEN}") == 200
    except OSError:
        return False


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/jobs/", {"entrypoint": "true"}),
        ("GET", "/api/jobs/", None),
        ("GET", "/nodes?view=summary", None),
        ("GET", "/api/cluster_status", None),
        ("GET", "/api/v0/nodes", None),
        ("GET", "/api/v0/logs", None),
        ("PUT", "/api/packages/gcs/_ray_pkg_0.zip", {}),
    ],
)
def test_a_head_with_a_token_answers_nobody_without_it(head: Head, method: str, path: str, body: Any):
    url = head.url + path
    assert status_of(url, method, body) == 401
    assert status_of(url, method, body, Authorization="Bearer guessed") == 403
    if method == "GET" and path != "/api/v0/logs":  # which asks for a node
        assert status_of(url, method, body, Authorization=f"Bearer {TOKEN}") == 200


@pytest.mark.parametrize(
    ("settings", "joins"),
    [
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "guessed-" + 56 * "0"}, False),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}, True),
    ],
    ids=["guessed", "right"],
)
def test_a_driver_joins_with_the_token_alone(head: Head, settings: dict[str, str], joins: bool):
    program = "import sys, ray; ray.init(sys.argv[1]); print(ray.get(ray.remote(lambda: 'it ran').remote()))"
    command = [sys.executable, "-c", program, head.address]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, timeout=300)
    assert (done.returncode == 0, "it ran" in done.stdout) == (joins, joins), done.stderr[-2000:]
    if not joins:
        assert "nauthenticated" in done.stderr, done.stderr[-2000:]
