"""Every way a trial can end, by real workers under Ray: what Optuna, MLflow and the live table then say of it."""

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
import torch
from ray import tune
from ray.tune.result import SHOULD_CHECKPOINT

from search.home import Home, SweepFolder
from search.profile import Profile
from search.record import SweepRecord
from search.states import TrialState
from search.tracking.tracker import Tracker
from search.tuning import run_trials
from tests.search.conftest import RecordedSweep

pytestmark = pytest.mark.slow

STUDENT = "tiny_conv"
# The one to be stopped comes late enough to fall behind others.
ENDS = ("finished", "patience", "raises", "stopped", "raises in setup", "dies once", "dies", "no room in setup")


def scripted(ends: tuple[str, ...], died: Path, epoch_seconds: float = 0.0) -> type[tune.Trainable]:
    """Trials that end by their number; a class of its own, so that it pickles whole."""

    class Scripted(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self.epoch, self.end = 0, ends[config["number"]]
            if self.end == "raises in setup":
                raise ValueError("the corpus is not there")
            if self.end == "no room in setup" and config["resources"]["gpu"] < 0.5:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            if config["resume_from"]:
                self.load_checkpoint(config["resume_from"])

        def step(self) -> dict[str, Any]:
            time.sleep(epoch_seconds)
            self.epoch += 1
            if self.epoch == 2 and self.end == "raises":
                raise ValueError("no such clip")
            if self.epoch == 2 and (self.end == "dies" or (self.end == "dies once" and not died.exists())):
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            done = self.epoch == (2 if self.end == "patience" else 9)
            value = 0.1 if self.end == "stopped" else 0.5
            return {"epoch": self.epoch, "val_pauc": value, "val_f1": 0.5, "done": done, SHOULD_CHECKPOINT: True}

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            torch.save(self.epoch, f"{checkpoint_dir}/epoch.pt")

        def load_checkpoint(self, checkpoint_dir: str) -> None:
            self.epoch = torch.load(f"{checkpoint_dir}/epoch.pt")

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.setup(new_config)
            return True

    return Scripted


@pytest.fixture(scope="module")
def workers() -> Iterator[None]:
    """Ray of two CPUs, told of a GPU that need not be there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        ray.init("local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedSweep:
    return RecordedSweep(SweepFolder(tmp_path / "first"), students=(STUDENT,))


def searched(recorded: RecordedSweep, home: Home, **changes: Any) -> SweepRecord:
    """The record after one run of the sweep's trials."""
    keys = {name.replace("__", "."): value for name, value in changes.items()}
    record = recorded.open({"resources.gpus_per_trial": 0.25, **keys})
    shared: Any = SimpleNamespace(
        corpus="", teacher=SimpleNamespace(head_fingerprint=""), spaces=record.spaces, n_layers=record.n_layers
    )
    with Tracker.open(home.tracking_uri, "first", home.artifacts, home.root / "spool") as tracker:
        run_trials(record, shared, tracker, recorded.folder, Profile())
    return record


def test_every_end_is_told_alike_everywhere(workers, recorded, home, records, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("search.tuning.DistillTrainable", scripted(ENDS, tmp_path / "died"))
    stopping = {"early_stopping__grace_epochs": 1, "resources__max_concurrent_trials": 1}
    record = searched(recorded, home, budget__trials=len(ENDS), **stopping)
    trials = dict(zip(ENDS, record.trials(STUDENT), strict=True))
    runs = {end: records.runs()[f"{STUDENT}-{trial.number:03d}"] for end, trial in trials.items()}

    states = {end: TrialState.of_optuna(trial.state) for end, trial in trials.items()}
    failed = dict.fromkeys(("raises", "raises in setup", "dies"), TrialState.FAILED)
    assert states == dict.fromkeys(ENDS, TrialState.FINISHED) | {"stopped": TrialState.PRUNED} | failed
    assert {end: run.info.status for end, run in runs.items()} == {end: states[end].mlflow for end in ENDS}
    assert {end: run.data.tags["distune.state"] for end, run in runs.items()} == states
    shown = re.findall(r"\d/8 (finished|pruned|failed)", capsys.readouterr().out)
    assert sorted(shown) == sorted(states.values())

    epochs = {end: len(trial.intermediate_values) for end, trial in trials.items()}
    assert epochs == {"finished": 9, "stopped": 1, "patience": 2, "raises": 1, "raises in setup": 0, "dies once": 9,
                      "dies": 1, "no room in setup": 9}  # fmt: skip
    # Nothing is scored to get rid of it: what finished is worth its best report, the rest nothing.
    assert {end for end, trial in trials.items() if trial.values} == {end for end in ENDS if states[end] == "finished"}
    assert trials["stopped"].user_attrs["stopped_at"] == 1
    reasons = {end: trial.user_attrs["reason"] for end, trial in trials.items() if "reason" in trial.user_attrs}
    assert reasons["raises"] == "ValueError: no such clip"
    assert reasons["raises in setup"] == "ValueError: the corpus is not there"
    assert re.fullmatch("lost its worker 3 times: .*worker process has died.*", reasons["dies"])
    assert len(trials["dies once"].user_attrs["deaths"]) == 1
    assert {end: run.data.tags["distune.reason"] for end, run in runs.items() if end in reasons} == reasons
    assert trials["no room in setup"].user_attrs["gpu"] == 0.5
    assert all(trial.user_attrs["seconds"] >= 0 for trial in trials.values())


def test_a_budget_that_is_reached_interrupts_and_a_larger_one_goes_on(workers, recorded, home, records, monkeypatch):
    monkeypatch.setattr("search.tuning.DistillTrainable", scripted(("finished",) * 2, Path("never"), 0.5))
    changes = {"budget__trials": 2, "early_stopping__scheduler": "none"}
    record = searched(recorded, home, budget__gpu_hours=1 / 3600, **changes)
    at_work = [trial for trial in record.trials(STUDENT) if TrialState.of_optuna(trial.state) is TrialState.RUNNING]
    assert at_work
    assert {run.data.tags["distune.state"] for run in records.runs().values()} == {"interrupted"}
    assert sum(trial.user_attrs.get("seconds", 0) * 0.25 for trial in record.trials(STUDENT)) >= 1
    finished = searched(recorded, home, budget__gpu_hours=1, **changes).trials(STUDENT)
    assert [TrialState.of_optuna(trial.state) for trial in finished] == [TrialState.FINISHED] * 2
    assert [sorted(trial.intermediate_values) for trial in finished] == [list(range(1, 10))] * 2
    assert {run.info.status for run in records.runs().values()} == {"FINISHED"}


def test_sigterm_interrupts_as_ctrl_c_does(workers, recorded, home, records, monkeypatch, wait_for):
    monkeypatch.setattr("search.tuning.DistillTrainable", scripted(("finished",), Path("never"), 0.5))
    journal = recorded.folder.journal

    def terminate() -> None:
        # Its first report is recorded.
        wait_for(lambda: journal.exists() and '"intermediate_value"' in journal.read_text())
        os.kill(os.getpid(), signal.SIGTERM)

    sender = threading.Thread(target=terminate)
    sender.start()
    record = searched(recorded, home, budget__trials=1)
    sender.join()
    (trial,) = record.trials(STUDENT)
    assert TrialState.of_optuna(trial.state) is TrialState.RUNNING and len(trial.intermediate_values) < 9
    assert records.runs()[f"{STUDENT}-000"].data.tags["distune.state"] == "interrupted"
