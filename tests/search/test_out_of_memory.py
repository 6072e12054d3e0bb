"""A trial that runs out of a GPU's memory goes on with a larger share. Ray is told of a GPU; there need be none."""

from types import SimpleNamespace
from typing import Any

import pytest
import ray
import torch
from ray import tune
from ray.tune.result import SHOULD_CHECKPOINT

from search.profile import Profile
from search.states import TrialState
from search.tracking.tracker import Tracker
from search.tuning import run_trials

pytestmark = pytest.mark.slow


def demanding(share: float) -> type[tune.Trainable]:
    """A trial of three epochs whose second needs ``share`` of a GPU; a class of its own, so that it pickles whole."""

    class Demanding(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self.epoch, self.gpu = 0, config["resources"]["gpu"]
            if config["resume_from"]:
                self.load_checkpoint(config["resume_from"])

        def step(self) -> dict[str, Any]:
            self.epoch += 1
            if self.epoch > 1 and self.gpu < share:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return {"epoch": self.epoch, "val_pauc": self.epoch / 10, "val_f1": 0.5, "done": self.epoch == 3,
                    SHOULD_CHECKPOINT: True}  # fmt: skip

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            torch.save(self.epoch, f"{checkpoint_dir}/epoch.pt")

        def load_checkpoint(self, checkpoint_dir: str) -> None:
            self.epoch = torch.load(f"{checkpoint_dir}/epoch.pt")

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.setup(new_config)
            return True

    return Demanding


@pytest.fixture
def searched(recorded, home, monkeypatch):
    """Runs the sweep's search with trials that need a share of a GPU; the record and the MLflow experiment."""

    def search(share: float):
        monkeypatch.setattr("search.tuning.DistillTrainable", demanding(share))
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
        changes = {"budget.trials": 2, "resources.gpus_per_trial": 0.25, "early_stopping.scheduler": "none"}
        record = recorded.open(changes)
        teacher = SimpleNamespace(head_fingerprint="")
        shared = SimpleNamespace(corpus="", teacher=teacher, spaces=record.spaces, n_layers=record.n_layers)
        ray.init("local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
        try:
            with Tracker.open(home.tracking_uri, "first", home.artifacts, home.root / "spool") as tracker:
                run_trials(record, shared, tracker, recorded.folder, Profile())
        finally:
            ray.shutdown()
        return record

    return search


def test_trials_go_on_from_their_checkpoint_with_a_larger_share(searched, records):
    record = searched(share=0.5)
    for student in ("tiny_conv", "mobilenetv3"):
        trials = record.trials(student)
        assert [TrialState.of_optuna(trial.state) for trial in trials] == [TrialState.FINISHED] * 2
        assert [trial.intermediate_values for trial in trials] == [{1: 0.1, 2: 0.2, 3: 0.3}] * 2
    told = {name: run.info.status for name, run in records.runs().items() if "-" in name}
    assert told == dict.fromkeys(("tiny_conv-000", "tiny_conv-001", "mobilenetv3-000", "mobilenetv3-001"), "FINISHED")


def test_a_trial_that_a_whole_gpu_does_not_hold_has_failed(searched, records):
    record = searched(share=1.5)
    trials = [trial for student in ("tiny_conv", "mobilenetv3") for trial in record.trials(student)]
    assert [TrialState.of_optuna(trial.state) for trial in trials] == [TrialState.FAILED] * 4
    assert all("CUDA out of memory" in trial.user_attrs["reason"] for trial in trials)
