"""A trial whose machine goes away goes on on another, from its last checkpoint."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from search.home import SweepFolder
from search.states import TrialState
from tests.search.conftest import RecordedSweep
from tests.search.scripted import scripted, searched

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(monkeypatch) -> Iterator[Cluster]:
    """A head that trains nothing."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    ray.init(address=nodes.address, log_to_driver=False)
    yield nodes
    ray.shutdown()
    nodes.shutdown()


def test_a_trial_whose_node_is_lost_goes_on_elsewhere(cluster, home, records, monkeypatch, tmp_path):
    monkeypatch.setattr("search.tuning.DistillTrainable", scripted(("finished",), Path("never"), 0.5))
    recorded = RecordedSweep(SweepFolder(tmp_path / "first"), students=("tiny_conv",))
    first, journal = cluster.add_node(num_cpus=1), recorded.folder.journal

    def lose_the_first_node() -> None:
        while not (journal.exists() and '"checkpoint"' in journal.read_text()):
            time.sleep(0.05)
        cluster.remove_node(first)
        cluster.add_node(num_cpus=1)

    loser = threading.Thread(target=lose_the_first_node, daemon=True)
    loser.start()
    changes = {"budget__trials": 1, "resources__gpus_per_trial": 0, "resources__max_concurrent_trials": 1}
    record = searched(recorded, home, **changes)
    loser.join()
    (trial,) = record.trials("tiny_conv")
    assert TrialState.of_optuna(trial.state) is TrialState.FINISHED
    assert sorted(trial.intermediate_values) == list(range(1, 10))
    assert len(trial.user_attrs["deaths"]) == 1 and "node" in trial.user_attrs["deaths"][0]
    assert records.history("tiny_conv-000", "val_pauc") == [(epoch, 0.5) for epoch in range(1, 10)]
