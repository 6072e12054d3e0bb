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
from tests.search.conftest import RecordedSweep
from tests.search.scripted import scripted, searched

pytestmark = pytest.mark.slow

STUDENT, EPOCHS = "tiny_conv", 9


@pytest.fixture
def cluster(monkeypatch) -> Iterator[Cluster]:
    """A head that trains nothing, and two nodes with room for one trial each."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        found.add_node(num_cpus=1)
    ray.init(found.address, log_to_driver=False)
    yield found
    ray.shutdown()
    found.shutdown()


def test_a_trial_whose_node_is_lost_goes_on_from_its_checkpoint_elsewhere(cluster, home, monkeypatch, tmp_path):
    recorded = RecordedSweep(SweepFolder(tmp_path / "first"), students=(STUDENT,))
    monkeypatch.setattr("search.run.tuning.DistillTrainable", scripted(("finished",) * 2, Path("never"), 0.5))
    lost = threading.Thread(target=lose_a_node, args=(cluster, recorded))
    lost.start()
    record = searched(recorded, home, budget__trials=2, early_stopping__scheduler="none", resources__gpus_per_trial=0)
    lost.join()

    trials = record.trials(STUDENT)
    assert [TrialState.of_optuna(trial.state) for trial in trials] == [TrialState.FINISHED] * 2
    assert [sorted(trial.intermediate_values) for trial in trials] == [list(range(1, EPOCHS + 1))] * 2
    (deaths,) = [trial.user_attrs["deaths"] for trial in trials if "deaths" in trial.user_attrs]
    assert len(deaths) == 1 and "node" in deaths[0], "told as what it was"


def lose_a_node(cluster: Cluster, recorded: RecordedSweep) -> None:
    """Kill the second node once both trials have a checkpoint to go on from."""
    while journal(recorded).count('"checkpoint"') < 4:
        time.sleep(0.1)
    cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)


def journal(recorded: RecordedSweep) -> str:
    path = recorded.folder.journal
    return path.read_text() if path.exists() else ""
