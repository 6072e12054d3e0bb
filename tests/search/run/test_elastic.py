"""A real autoscaler: from no worker to three and back during a sweep."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import ray
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID

from search.home import SweepFolder
from search.record.states import TrialState
from search.run.resources import AUTOSCALING, start_ray, trials_at_once, workers_called
from spaces.sections import Resources
from tests.search.conftest import RecordedSweep
from tests.search.scripted import scripted, searched
from tests.search.tracking.servers import START_SECONDS, free_port

STUDENT = "tiny_conv"
# By its class: as a type, its provider looks for a file that Ray's wheel lacks.
FAKE = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"


@pytest.fixture
def elastic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a head that trains nothing, whose autoscaler starts and ends up to three workers on this machine."""
    port = free_port()
    config = {
        "cluster_name": "elastic", "max_workers": 3, "upscaling_speed": 8, "idle_timeout_minutes": 0.05,
        "provider": {"type": "external", "module": FAKE, "gcs_address": f"127.0.0.1:{port}", "launch_multiple": True,
                     "head_node_id": FAKE_HEAD_NODE_ID},
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "worker": {"resources": {"CPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": 3},
        },
        "head_node_type": "ray.head.default",
        **{key: [] for key in ("cluster_synced_files", "initialization_commands", "setup_commands", "rsync_exclude",
                               "head_setup_commands", "worker_setup_commands", "head_start_ray_commands",
                               "worker_start_ray_commands", "rsync_filter")},
        "auth": {}, "docker": {}, "file_mounts": {}, "file_mounts_sync_continuously": False,
    }  # fmt: skip
    file = tmp_path / AUTOSCALING
    file.write_text(json.dumps(config))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    # A process remembers of the first cluster that it joined which autoscaler takes its requests.
    monkeypatch.setattr("ray.autoscaler.v2.utils.cached_is_autoscaler_v2", None)
    fake = {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_enable_autoscaler_v2": "1",
            "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID, "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
            "RAY_NODE_TYPE_NAME": "ray.head.default"}  # fmt: skip
    command = [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", "--num-cpus=0",
               "--node-ip-address=127.0.0.1", f"--port={port}", "--include-dashboard=false",
               f"--ray-client-server-port={free_port()}", "--object-store-memory=100000000",
               f"--autoscaling-config={file}", "--disable-usage-stats"]  # fmt: skip
    head = subprocess.Popen(command, env=os.environ | fake, stdout=subprocess.DEVNULL)
    try:
        until_answers(port)
        yield f"127.0.0.1:{port}"
    finally:
        ray.shutdown()
        # `ray stop` would end every Ray on this machine.
        ours = [psutil.Process(head.pid), *psutil.Process(head.pid).children(recursive=True)]
        for process in ours:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(ours, timeout=20)


def until_answers(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError("the head did not start")


def n_workers() -> int:
    return sum(node["Alive"] and node["Resources"].get("CPU", 0) > 0 for node in ray.nodes())


def n_files(folder: Path) -> int:
    return len(list(folder.iterdir()))


class Watched(threading.Thread):
    """How many workers the cluster has, looked at twice a second for as long as the block lasts.

    Args:
        gone: a file that is there once one has gone while a fourth trial was at work.
    """

    def __init__(self, begun: Path, gone: Path) -> None:
        super().__init__(daemon=True)
        self.seen: list[int] = []
        self._begun, self._gone = begun, gone
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.5):
            self.seen.append(n_workers())
            if n_files(self._begun) == 4 and self.seen[-1] < 3:
                self._gone.touch()

    def __enter__(self) -> "Watched":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


@pytest.mark.slow
def test_workers_come_for_all_pending_trials_and_go_when_idle(elastic, home, tmp_path, monkeypatch, wait_for):
    resources = Resources(address=elastic)
    start_ray(resources)
    assert n_workers() == 0 and trials_at_once(resources, {"cpu": 1, "gpu": 0}) == 3
    # The teacher's pass looks for room before it asks for any.
    with workers_called(resources, "CPU"):
        assert n_workers() > 0

    recorded = RecordedSweep(SweepFolder(tmp_path / "first"), students=(STUDENT,))
    begun, gone = tmp_path / "begun", tmp_path / "gone"
    begun.mkdir()

    def goes_on(number: int, epoch: int) -> bool:
        """Three trials are at work at once; the fourth, alone at last, is until another's machine has gone."""
        (begun / str(number)).touch()
        return len(list(begun.iterdir())) >= 3 and (number < 3 or gone.exists())

    monkeypatch.setattr("search.run.tuning.DistillTrainable", scripted(("finished",) * 4, Path("never"), 0.5, goes_on))
    keys = {"budget__trials": 4, "early_stopping__scheduler": "none", "resources__gpus_per_trial": 0}
    with Watched(begun, gone) as watched:
        record = searched(recorded, home, resources__address=elastic, **keys)
    assert [TrialState.of_optuna(trial.state) for trial in record.trials(STUDENT)] == [TrialState.FINISHED] * 4
    assert max(watched.seen) == 3 and watched.seen[-1] < 3, f"idle ones go in mid-sweep: {watched.seen}"
    wait_for(lambda: n_workers() == 0)
