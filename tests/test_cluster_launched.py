"""docs/cluster-local.yaml brought up for real, over ssh, on hosts in namespaces of this machine; a sweep; its end."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.search.conftest import synthesise_few
from tests.search.hosts import Host, machines, why_none

REPOSITORY = Path(__file__).parents[1]
IPS = {"head": "10.99.0.10", "worker": "10.99.0.11"}
TOKEN = "0123456789abcdef" * 4
MINUTES = 60.0
DASHBOARD, MLFLOW = 8265, 5000
SWEEP = {
    "name": "launched",
    "data": {"path": "clips", "views": {"count": 1}},
    "teacher": {"allow_weak": True},
    "students": {"tiny_conv": {}},
    "budget": {"trials": 2, "epochs": 1},
    "confirm": {"enabled": False},
    "resources": {"address": "auto"},
    "tracking": {"uri": f"http://127.0.0.1:{MLFLOW}"},
}
# Of MLflow's runs, as whoever has the login sees them: which nodes trained.
NODES = """
import json
from mlflow import MlflowClient
client = MlflowClient("http://127.0.0.1:5000")
runs = client.search_runs([client.get_experiment_by_name("launched").experiment_id])
print(json.dumps([run.data.tags.get("distune.node") for run in runs if run.data.tags.get("distune.trial")]))
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(why_none() is not None, reason=str(why_none())),
]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[tuple[Host, dict[str, Host]]]:
    """A laptop with the cluster's token, and two hosts as the file wants them, which have Python and packages."""
    with machines(tmp_path, IPS) as (laptop, hosts):
        for host in hosts.values():
            (host.home / "distune-env").symlink_to(sys.prefix)
            # Workers leave a head that is gone after a minute, here at once.
            quick = "RAY_USAGE_STATS_ENABLED=0 RAY_gcs_rpc_server_reconnect_timeout_s=2"
            (host.home / ".bashrc").write_text(f"export PYTHONPATH=~/distune {quick}\n")
        (laptop.home / ".ray").mkdir()
        token = laptop.home / ".ray/auth_token"
        token.write_text(TOKEN)
        token.chmod(0o600)
        yield laptop, hosts


def test_a_cluster_of_own_machines_comes_up_runs_a_sweep_and_is_gone_again(bench, tmp_path):
    laptop, hosts = bench
    head, worker = hosts["head"], hosts["worker"]
    file = written(tmp_path)
    ray(laptop, "up", "--yes", "--no-config-cache", str(file))

    for port in (DASHBOARD, MLFLOW):
        assert not answers(laptop, head.ip, port) and answers(head, "127.0.0.1", port), "through a tunnel only"
    with tunnel(laptop, tmp_path / "key", head):
        assert status_of(laptop, f"http://127.0.0.1:{DASHBOARD}/api/jobs/") == "401", "no token, no jobs"
        assert status_of(laptop, f"http://127.0.0.1:{MLFLOW}/api/2.0/mlflow/experiments/get?experiment_id=0") == "401"
        until(lambda: has_joined(worker))
        submitted = ray(laptop, "job", "submit", "--working-dir", str(job(tmp_path)), "--",
                        "python", "-m", "search.cli.main", "sweep", "sweep.yaml", cluster=True)  # fmt: skip
    assert "succeeded" in submitted
    trained_on = json.loads(head.run(sys.executable, "-c", NODES).stdout)
    assert trained_on == ["worker", "worker"]
    assert not (worker.home / ".mlflow").exists(), "workers hold no login"
    assert [oct((head.home / secret).stat().st_mode)[-3:] for secret in (".mlflow/credentials", ".ray/auth_token")] == [
        "600", "600"
    ]  # fmt: skip

    ray(laptop, "down", "--yes", str(file))
    until(lambda: not any("raylet" in line or "mlflow" in line for line in left(hosts)), lambda: left(hosts))
    # Ray's reader of logs outlives a worker's raylet; docs/cluster.md has this for it.
    stopped = worker.run("bash", "--login", "-c", "source ~/.bashrc; ray stop")
    assert stopped.returncode == 0, stopped.stderr
    until(lambda: not left(hosts), lambda: left(hosts))


def has_joined(host: Host) -> bool:
    """Whether the cluster knows its node: `ray start` waits for that."""
    lines = host.running()
    return any("raylet" in line for line in lines) and not any("ray start" in line for line in lines)


def left(hosts: dict[str, Host]) -> list[str]:
    return [line for host in hosts.values() for line in host.running()]


def written(folder: Path) -> Path:
    """The file with what its user is to change, and without the command that installs gigabytes."""
    config = yaml.safe_load((REPOSITORY / "docs/cluster-local.yaml").read_text())
    config["provider"] |= {"head_ip": IPS["head"], "worker_ips": [IPS["worker"]]}
    config["auth"] = {"ssh_user": "root", "ssh_private_key": str(folder / "key")}
    config["setup_commands"] = [command for command in config["setup_commands"] if "pip install" not in command]
    file = folder / "cluster.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


def job(folder: Path) -> Path:
    """What is sent to the cluster: the sweep's file, whose clips both machines see."""
    synthesise_few(folder / "clips")
    (folder / "job").mkdir()
    tree: dict[str, Any] = SWEEP | {"data": {**SWEEP["data"], "path": str(folder / "clips")}}
    (folder / "job/sweep.yaml").write_text(yaml.safe_dump(tree))
    return folder / "job"


def ray(laptop: Host, *words: str, cluster: bool = False) -> str:
    """Ray's command line on the laptop, in the checkout; ``cluster``: of the one at the tunnel's end."""
    settings = {"TMPDIR": str(laptop.home), "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}
    if cluster:
        settings["RAY_API_SERVER_ADDRESS"] = settings["RAY_ADDRESS"] = f"http://127.0.0.1:{DASHBOARD}"
    done = subprocess.run(
        laptop.command(f"{sys.prefix}/bin/ray", *words, folder=REPOSITORY),
        env=laptop.environment(settings), capture_output=True, text=True, timeout=10 * MINUTES,
    )  # fmt: skip
    assert done.returncode == 0, f"ray {words}: {done.stdout[-3000:]} {done.stderr[-3000:]}"
    return done.stdout


@contextmanager
def tunnel(laptop: Host, key: Path, head: Host) -> Iterator[None]:
    """What `ray attach -p` does, or `ssh -L`: the head's loopback on the laptop's."""
    ports = [word for port in (DASHBOARD, MLFLOW) for word in ("-L", f"{port}:127.0.0.1:{port}")]
    trusting = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    command = laptop.command("ssh", "-N", "-i", str(key), *trusting, *ports, f"root@{head.ip}")
    with subprocess.Popen(command, env=laptop.environment({}), stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: answers(laptop, "127.0.0.1", DASHBOARD))
            yield
        finally:
            process.terminate()


def answers(host: Host, ip: str, port: int) -> bool:
    """Whether a connection from the host is taken."""
    return host.run("timeout", "60", "bash", "-c", f": < /dev/tcp/{ip}/{port}").returncode == 0


def status_of(host: Host, url: str) -> str:
    """HTTP status of a request without any login."""
    ask = (
        "import sys, urllib.error, urllib.request\n"
        "try: print(urllib.request.urlopen(sys.argv[1]).status)\n"
        "except urllib.error.HTTPError as error: print(error.code)"
    )
    return host.run(sys.executable, "-c", ask, url).stdout.strip()


def until(condition: Callable[[], bool], told: Callable[[], object] = lambda: "") -> None:
    """Wait for what takes a while; ``told`` says what there was instead, where it does not happen."""
    deadline = time.monotonic() + 5 * MINUTES
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen in time {told()}"
        time.sleep(0.5)
