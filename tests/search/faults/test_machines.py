"""Machines of a cluster that are taken away after a notice, or whose clock is wrong: real nodes."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import ray

from tests.search.faults.searching import STUDENT, meanwhile

pytestmark = pytest.mark.slow

NOTICE_SECONDS = 6


def test_a_trial_on_a_machine_that_is_to_be_preempted_saves_every_epoch_and_loses_none(
    cluster, add_node, searching, monkeypatch, tmp_path
):
    add_node()
    told, gone = tmp_path / "told", tmp_path / "gone"
    sweep = searching(changes={"resources.checkpoint_epochs": 100}, n_epochs=30, awaits={12: told, 28: gone})
    leaves = add_node()

    def preempt() -> None:
        sweep.until(lambda: sweep.ledger.count("start") == 2 and sweep.n_reports > 4)
        assert sweep.n_checkpoints == 0
        drain = [sys.executable, "-m", "ray.scripts.scripts", "drain-node", "--address", cluster.address]
        drain += ["--node-id", leaves.node_id, "--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot"]
        subprocess.run([*drain, "--deadline-remaining-seconds", str(NOTICE_SECONDS)], check=True, capture_output=True)
        told.touch()
        sweep.until(lambda: sweep.ledger.count("saved") >= 2)
        time.sleep(NOTICE_SECONDS)
        cluster.remove_node(leaves, allow_graceful=False)
        gone.touch()

    with meanwhile(preempt):
        record = sweep.run(monkeypatch)
    sweep.assert_whole(record, most_repeated=1)  # the one that was finished and not yet saved
    (lost,) = [trial.user_attrs["lost"] for trial in record.trials(STUDENT) if "lost" in trial.user_attrs]
    assert lost["machines"] and not lost["workers"], "an announced end is not held against the trial"


def test_a_node_whose_clock_is_an_hour_off_changes_nothing(cluster, add_node, searching, monkeypatch):
    library = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
    if library is None:
        pytest.skip("a wrong clock takes `apt install faketime`")
    # Not its monotonic clock, which libfaketime sets by default: what waits for a while there waits for ever.
    add_node(env={"LD_PRELOAD": str(library), "FAKETIME": "-1h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
    clock, monotonic = ray.get(ray.remote(num_cpus=1)(lambda: (time.time(), time.monotonic())).remote())
    assert 3500 < time.time() - clock < 3700, "the node's clock is wrong indeed"
    assert abs(time.monotonic() - monotonic) < 100
    sweep = searching(n_epochs=4, epoch_seconds=0.1)
    began = time.time()
    record = sweep.run(monkeypatch)
    sweep.assert_whole(record, most_repeated=0)
    for trial in record.trials(STUDENT):
        assert began <= trial.datetime_start.timestamp() <= trial.datetime_complete.timestamp() <= time.time()
        assert 0 <= trial.user_attrs["seconds"] <= time.time() - began
