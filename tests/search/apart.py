"""Ray nodes that do not share a folder with the driver: each in a mount namespace of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

from search.run.starting import started
from trainables.storage.cache import CACHE

NODE = 'mount -t tmpfs none "$HIDDEN" && exec "$PYTHON" -m ray.scripts.scripts start --address="$ADDRESS" --block ' \
       '--num-cpus=1 --object-store-memory=80000000 --disable-usage-stats'  # fmt: skip


@contextmanager
def nodes_apart(hidden: Path, caches: list[Path], **environment: str) -> Iterator[str]:
    """The address of a cluster with a head that trains nothing and a node of one CPU for each cache.

    Args:
        hidden: what the head sees and no node does, each of which has an empty folder in its place.
        caches: each node's own.
        environment: of the nodes alone.
    """
    allowed = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    if allowed.returncode:
        pytest.skip(f"needs mount namespaces: {allowed.stderr.decode()}")
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80_000_000}
    with ExitStack() as stack:
        cluster = started(lambda: Cluster(initialize_head=True, head_node_args=head))
        stack.callback(cluster.shutdown)
        stack.callback(ray.shutdown)
        nodes = [_Node(hidden, cache, cluster.address, environment) for cache in caches]
        for node in nodes:
            stack.callback(node.end)
        _wait(cluster.address, nodes)
        yield cluster.address


class _Node:
    """A node as a process, begun again where it gave up: on a busy machine Ray's 30 s to come up are not enough."""

    def __init__(self, hidden: Path, cache: Path, address: str, environment: Mapping[str, str]) -> None:
        own = {"HIDDEN": str(hidden), "PYTHON": sys.executable, "ADDRESS": address, CACHE: str(cache)}
        self._environment, self._log = {**os.environ, **own, **environment}, Path(f"{cache}.log")
        self._begin()

    def begin_again_if_it_gave_up(self) -> None:
        if self._process.poll() is not None:
            self._begin()

    def _begin(self) -> None:
        with open(self._log, "a") as log:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", NODE], env=self._environment, stdout=log, stderr=log
            )

    def end(self) -> None:
        started = []
        with suppress(psutil.NoSuchProcess):
            started = psutil.Process(self._process.pid).children(recursive=True)
        self._process.terminate()
        self._process.wait()
        for process in started:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(started, timeout=30)


def _wait(address: str, nodes: list[_Node]) -> None:
    deadline = time.monotonic() + 240
    ray.init(address, log_to_driver=False, logging_level="ERROR")
    while ray.cluster_resources().get("CPU", 0) < len(nodes):
        assert time.monotonic() < deadline, "the nodes did not come up"
        for node in nodes:
            node.begin_again_if_it_gave_up()
        time.sleep(0.2)
    ray.shutdown()
