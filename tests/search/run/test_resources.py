"""How many trials a cluster holds, with what its autoscaler may add."""

import pytest
import ray

from search.run import resources as running
from search.run.resources import KUBERAY, may_have, most_workers, trials_at_once
from spaces.errors import InputError
from spaces.sections import Resources

SHARE = {"cpu": 1, "gpu": 0.3333}


def autoscaling(**most: int) -> dict[str, object]:
    has = {"big": {"CPU": 16, "GPU": 4}, "small": {"CPU": 2, "GPU": 1}, "by address": {}}
    kinds = {"head": {"max_workers": 0, "resources": {"CPU": 4}}} | {
        kind: {"max_workers": count, "resources": has[kind]} for kind, count in most.items()
    }
    return {"max_workers": 3, "head_node_type": "head", "available_node_types": kinds}


def test_workers_to_come_are_no_more_than_their_kind_and_the_whole_may_have():
    assert most_workers(autoscaling(small=2, big=1)) == [{"CPU": 16, "GPU": 4}, *[{"CPU": 2, "GPU": 1}] * 2]
    assert most_workers(autoscaling(small=5)) == [{"CPU": 2, "GPU": 1}] * 3
    assert most_workers(autoscaling(**{"by address": 2})) == []


@pytest.mark.parametrize(
    ("share", "most", "fits"),
    [
        # 2 and 2 are as many as the CPUs of each hold; 8 + 2 GPUs would hold 30.
        (SHARE, None, 14), (SHARE, 5, 5), ({"cpu": 0.1, "gpu": 0.1}, None, 50), ({"cpu": 4, "gpu": 0}, None, 3),
    ],
)  # fmt: skip
def test_as_many_trials_at_once_as_each_machine_holds(monkeypatch, share, most, fits):
    has = [{"CPU": 12, "GPU": 4}, {"CPU": 2, "GPU": 1}]
    monkeypatch.setattr(running, "machines", lambda resources: has)
    assert trials_at_once(Resources(max_concurrent_trials=most, address="auto"), share) == fits


def test_a_cluster_without_room_is_refused_unless_kubernetes_starts_what_the_sweep_says(monkeypatch):
    monkeypatch.setattr(running, "machines", lambda resources: [{"CPU": 4}])
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 4.0})
    said = Resources(max_concurrent_trials=8, address="auto", gpus_per_trial=0.3333)
    with pytest.raises(InputError, match=r"lower cpus_per_trial or gpus_per_trial$"):
        trials_at_once(said, SHARE)
    monkeypatch.setenv(KUBERAY, "1")
    assert trials_at_once(said, SHARE) == 8 and may_have(said, "GPU")
    unsaid = Resources(address="auto", gpus_per_trial=0.3333)
    with pytest.raises(InputError, match="max_concurrent_trials"):
        trials_at_once(unsaid, SHARE)
    assert not may_have(unsaid, "GPU")
