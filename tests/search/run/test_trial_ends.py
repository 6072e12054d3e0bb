"""Every way a trial can end, by real workers under Ray: what Optuna, MLflow and the live table then say of it."""

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import torch

from search.driver import REQUEST, ask_to_stop
from search.home import SweepFolder
from search.log import logged_to
from search.record.states import TrialState
from search.run.starting import started
from tests.search.conftest import RecordedSweep
from tests.search.scripted import scripted, searched
from tests.search.sweeps import journal_of

pytestmark = pytest.mark.slow

STUDENT = "tiny_conv"
# The one to be stopped comes late enough to fall behind others.
ENDS = (
    "finished", "patience", "raises", "stopped", "raises in setup", "dies once", "dies", "no room in setup",
    "no room", "never room",
)  # fmt: skip


@pytest.fixture(scope="module")
def workers() -> Iterator[None]:
    """Ray of two CPUs, told of a GPU that need not be there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        settings = {"num_cpus": 2, "num_gpus": 1, "include_dashboard": False, "log_to_driver": False}
        started(lambda: ray.init("local", **settings))
        yield
        ray.shutdown()


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedSweep:
    return RecordedSweep(SweepFolder(tmp_path / "first"), students=(STUDENT,))


def test_every_end_is_told_alike_everywhere(workers, recorded, home, records, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("search.run.tuning.DistillTrainable", scripted(ENDS, tmp_path / "died"))
    stopping = {"early_stopping__grace_epochs": 1, "resources__max_concurrent_trials": 1}
    record = searched(recorded, home, budget__trials=len(ENDS), **stopping)
    trials = dict(zip(ENDS, record.trials(STUDENT), strict=True))
    runs = {end: records.runs()[f"{STUDENT}-{trial.number:03d}"] for end, trial in trials.items()}

    states = {end: TrialState.of_optuna(trial.state) for end, trial in trials.items()}
    failed = dict.fromkeys(("raises", "raises in setup", "dies", "never room"), TrialState.FAILED)
    assert states == dict.fromkeys(ENDS, TrialState.FINISHED) | {"stopped": TrialState.PRUNED} | failed
    assert {end: run.info.status for end, run in runs.items()} == {end: states[end].mlflow for end in ENDS}
    assert {end: run.data.tags["distune.state"] for end, run in runs.items()} == states
    shown = re.findall(r"\d/10 (finished|pruned|failed)", capsys.readouterr().out)
    assert sorted(shown) == sorted(states.values())

    epochs = {end: len(trial.intermediate_values) for end, trial in trials.items()}
    assert epochs == {"finished": 9, "stopped": 1, "patience": 2, "raises": 1, "raises in setup": 0, "dies once": 9,
                      "dies": 1, "no room in setup": 9, "no room": 9, "never room": 1}  # fmt: skip
    # Nothing is scored to get rid of it: what was stopped is worth its last report, what failed nothing.
    worth = {TrialState.FINISHED: [0.5], TrialState.PRUNED: [0.1], TrialState.FAILED: None}
    assert {end: trial.values for end, trial in trials.items()} == {end: worth[states[end]] for end in ENDS}
    assert trials["stopped"].user_attrs["stopped_at"] == 1
    reasons = {end: trial.user_attrs["reason"] for end, trial in trials.items() if "reason" in trial.user_attrs}
    assert reasons["raises"] == "ValueError: no such clip"
    assert reasons["raises in setup"] == "ValueError: the corpus is not there"
    assert re.fullmatch("lost its worker .* times after epoch 1: .*worker process has died.*", reasons["dies"])
    assert len(trials["dies"].user_attrs["lost"]["workers"]) == 3
    assert sum(len(trials["dies once"].user_attrs["lost"][kind]) for kind in ("workers", "machines")) == 1
    assert {end: run.data.tags["distune.reason"] for end, run in runs.items() if end in reasons} == reasons
    assert "CUDA out of memory" in reasons["never room"]
    assert [trials[end].user_attrs["gpu"] for end in ENDS[-3:]] == [0.5, 1.0, 1.0]
    assert all(trial.user_attrs["seconds"] >= 0 for trial in trials.values())

    checkpoints = {end: trial.user_attrs.get("checkpoint") for end, trial in trials.items()}
    assert not Path(checkpoints["stopped"]).exists()
    assert all(Path(checkpoints[end]).exists() for end in ENDS if states[end] is TrialState.FINISHED)


def test_a_budget_that_is_reached_interrupts_and_a_larger_one_goes_on(workers, recorded, home, records, monkeypatch):
    monkeypatch.setattr("search.run.tuning.DistillTrainable", scripted(("finished",) * 2, Path("never"), 0.5))
    changes = {"budget__trials": 2, "early_stopping__scheduler": "none"}
    record = searched(recorded, home, budget__gpu_hours=1 / 3600, **changes)
    at_work = [trial for trial in record.trials(STUDENT) if TrialState.of_optuna(trial.state) is TrialState.RUNNING]
    assert at_work
    told = [run.data.tags["distune.state"] for name, run in records.runs().items() if name != STUDENT]
    assert set(told) == {"interrupted"}
    assert sum(trial.user_attrs.get("seconds", 0) * 0.25 for trial in record.trials(STUDENT)) >= 1
    finished = searched(recorded, home, budget__gpu_hours=1, **changes).trials(STUDENT)
    assert [TrialState.of_optuna(trial.state) for trial in finished] == [TrialState.FINISHED] * 2
    assert [sorted(trial.intermediate_values) for trial in finished] == [list(range(1, 10))] * 2
    assert [run.info.status for name, run in records.runs().items() if name != STUDENT] == ["FINISHED"] * 2


def test_sigterm_interrupts_as_ctrl_c_does(workers, recorded, home, records, monkeypatch):
    monkeypatch.setattr("search.run.tuning.DistillTrainable", scripted(("finished",), Path("never"), 0.5))
    journal = recorded.folder.journal

    def terminate() -> None:
        while not (journal.exists() and '"intermediate_value"' in journal.read_text()):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    sender = threading.Thread(target=terminate, daemon=True)
    sender.start()
    record = searched(recorded, home, budget__trials=1)
    sender.join()
    (trial,) = record.trials(STUDENT)
    assert TrialState.of_optuna(trial.state) is TrialState.RUNNING and len(trial.intermediate_values) < 9
    assert records.runs()[f"{STUDENT}-000"].data.tags["distune.state"] == "interrupted"


def test_a_stop_keeps_every_epoch_and_waits_for_no_trial_that_starts_meanwhile(
    workers, recorded, home, records, monkeypatch, tmp_path
):
    asked, over = recorded.folder.path / REQUEST, tmp_path / "over"

    def goes_on(number: int, epoch: int) -> bool:
        return (epoch < 3 or asked.exists()) if number < 2 else over.exists()

    def stop() -> None:
        while min(recorded_epochs(recorded)[:2], default=0) < 2:
            time.sleep(0.1)
        ask_to_stop(recorded.folder.path)
        while recorded.folder.log.read_text().count("stopped by the user") < 2:
            time.sleep(0.1)
        over.touch()

    monkeypatch.setattr("search.run.tuning.DistillTrainable", scripted(("finished",) * 4, Path("never"), 1.0, goes_on))
    # As in a cluster that is to grow: two trials wait for room, which the others leave as they stop.
    monkeypatch.setattr("search.run.tuning.trials_at_once", lambda *_: 4)
    stopper = threading.Thread(target=stop, daemon=True)
    stopper.start()
    with logged_to(recorded.folder.create().log):
        record = searched(recorded, home, budget__trials=4, early_stopping__scheduler="none")
    stopper.join()
    trials = record.trials(STUDENT)
    assert [TrialState.of_optuna(trial.state) for trial in trials] == [TrialState.RUNNING] * 4
    *stopped, third, fourth = recorded_epochs(recorded)
    assert [torch.load(f"{trial.user_attrs['checkpoint']}/epoch.pt") for trial in trials[:2]] == stopped
    assert min(stopped) >= 2 and third == fourth == 0
    tags = [records.runs()[f"{STUDENT}-00{number}"].data.tags for number in range(2)]
    assert [each["distune.state"] for each in tags] == ["interrupted"] * 2
    assert [each["distune.reason"] for each in tags] == ["stopped by the user"] * 2


def recorded_epochs(recorded: RecordedSweep) -> list[int]:
    """Of each trial that has begun, the last that is recorded."""
    trials = journal_of(recorded.folder).get(STUDENT, [])
    return [max(trial.intermediate_values, default=0) for trial in trials]
