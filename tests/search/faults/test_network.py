"""A worker whose network is cut in mid-trial: a real network of namespaces, and a cable that is pulled."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from search.record.sweep import SweepRecord
from search.run.starting import started
from tests.search.faults.networks import Machine, network
from tests.search.faults.searching import STUDENT, Searching, meanwhile

pytestmark = [pytest.mark.slow, pytest.mark.long]

CUT_SECONDS = 20
START_SECONDS = 120


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine of one CPU, on the cable; a head that trains nothing and another node of one CPU are here."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with network(1) as (own, (machine,)):
        head = {"num_cpus": 0, "include_dashboard": False, "node_ip_address": own}
        cluster = started(lambda: Cluster(initialize_head=True, head_node_args=head))
        started(lambda: cluster.add_node(num_cpus=1, node_ip_address=own))
        ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
        process = machine.join(cluster.address, tmp_path / "node.log")
        try:
            deadline = time.monotonic() + START_SECONDS
            while ray.cluster_resources().get("CPU") != 2:
                assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "node.log").read_text()
                time.sleep(0.2)
            yield machine
        finally:
            ray.shutdown()
            cluster.shutdown()
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_cut_of_twenty_seconds_costs_that_time_and_nothing_else(far, searching, monkeypatch, tmp_path):
    # Where Ray takes the node for lost, its trial goes on elsewhere, from its last checkpoint.
    through_a_cut(far, searching, monkeypatch, tmp_path, lambda sweep: time.sleep(CUT_SECONDS))


def test_a_node_that_is_cut_off_until_it_is_given_up_takes_its_trial_to_another(far, searching, monkeypatch, tmp_path):
    def given_up(sweep: Searching) -> None:
        sweep.until(lambda: sum(node["Alive"] for node in ray.nodes()) == 2)

    record = through_a_cut(far, searching, monkeypatch, tmp_path, given_up)
    (lost,) = [trial.user_attrs["lost"] for trial in record.trials(STUDENT) if "lost" in trial.user_attrs]
    assert lost["machines"] and not lost["workers"]


def through_a_cut(far, searching, monkeypatch, tmp_path, lasts: Callable[[Searching], None]) -> SweepRecord:
    """The record of a sweep whose far node is cut off with both trials at work, for as long as ``lasts`` takes."""
    is_cut = tmp_path / "cut"
    sweep = searching(n_epochs=12, awaits={2: is_cut})

    def cut() -> None:
        sweep.until(lambda: sweep.n_checkpoints == 2)
        far.cut()
        is_cut.touch()
        lasts(sweep)
        far.mend()

    with meanwhile(cut):
        record = sweep.run(monkeypatch)
    sweep.assert_whole(record, most_repeated=1)
    return record
