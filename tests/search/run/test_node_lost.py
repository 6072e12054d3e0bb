"""A machine that is lost in mid-trial: real nodes of a Ray cluster, one of which goes away."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from search.home import SweepFolder
from search.record.states import TrialState
from search.run.starting import started
from tests.search.conftest import RecordedSweep
from tests.search.scripted import scripted, searched
from tests.search.sweeps import journal_of

pytestmark = pytest.mark.slow

STUDENT, EPOCHS = "tiny_conv", 9


@pytest.fixture
def cluster(monkeypatch) -> Iterator[Cluster]:
    """A head that trains nothing, and two nodes with room for one trial each."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    found = started(lambda: Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}))
    for _ in range(2):
        started(lambda: found.add_node(num_cpus=1))
    ray.init(found.address, log_to_driver=False)
    yield found
    ray.shutdown()
    found.shutdown()


def test_a_trial_whose_node_is_lost_goes_on_from_its_checkpoint_elsewhere(cluster, home, monkeypatch, tmp_path):
    recorded = RecordedSweep(SweepFolder(tmp_path / "first"), students=(STUDENT,))
    is_lost = tmp_path / "lost"
    waiting = scripted(("finished",) * 2, Path("never"), 0.5, lambda number, epoch: epoch < 4 or is_lost.exists())
    monkeypatch.setattr("search.run.tuning.DistillTrainable", waiting)
    lost = threading.Thread(target=lose_a_node, args=(cluster, recorded, is_lost))
    lost.start()
    record = searched(recorded, home, budget__trials=2, early_stopping__scheduler="none", resources__gpus_per_trial=0)
    lost.join()

    trials = record.trials(STUDENT)
    assert [TrialState.of_optuna(trial.state) for trial in trials] == [TrialState.FINISHED] * 2
    assert [sorted(trial.intermediate_values) for trial in trials] == [list(range(1, EPOCHS + 1))] * 2
    (lost,) = [trial.user_attrs["lost"] for trial in trials if "lost" in trial.user_attrs]
    assert lost["machines"] and not lost["workers"], "not held against the trial"
    assert "node" in lost["machines"][0], "told as what it was"


def lose_a_node(cluster: Cluster, recorded: RecordedSweep, is_lost: Path) -> None:
    """Kill the second node once both trials have a checkpoint to go on from."""
    while n_checkpoints(recorded) < 2:
        time.sleep(0.1)
    cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
    is_lost.touch()


def n_checkpoints(recorded: RecordedSweep) -> int:
    """Trials with a checkpoint that is recorded."""
    return sum("checkpoint" in trial.user_attrs for trial in journal_of(recorded.folder).get(STUDENT, []))
