"""A sweep that is confirmed, as its user sees it: killed amid confirming, gone on with, asked for again."""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import optuna
import pytest
import torch
import yaml
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from optuna.trial import FrozenTrial

from search.confirm.results import Confirmation, study_name
from search.export import export_yaml
from search.home import SweepFolder, open_home
from search.record.results import SweepResults
from search.reproduce import reproduce_trial
from search.screen.steps import silent_steps
from tests.search.conftest import synthesise_few
from tests.search.sweeps import kill_when, start
from trainables.build import best_student
from trainables.metrics import evaluate
from trainables.teachers.load import SHIPPED

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not SHIPPED.is_dir(), reason="no teacher was shipped")]

Complete, Running = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.RUNNING
EPOCHS = 4


@dataclass(frozen=True)
class Confirmed:
    """What the commands showed, and what was recorded before the driver was killed and at the end."""

    shown: str
    shown_again: str
    before: list[FrozenTrial]
    trials: list[FrozenTrial]
    found: Confirmation
    file: Path


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Confirmed]:
    place = tmp_path_factory.mktemp("confirmed")
    synthesise_few(place / "clips")
    file = place / "small.yaml"
    tree = {
        "data": {"path": "clips", "views": {"count": 2}},
        "teacher": {"allow_weak": True},
        "students": {"tiny_conv": {}},
        "budget": {"trials": 3, "epochs": EPOCHS},
        "early_stopping": {"scheduler": "none"},
        "confirm": {"top": 2, "seeds": 2, "learning_rates": 1},
        "resources": {"checkpoint_epochs": 1, "cpus_per_trial": 0.5, "max_concurrent_trials": 2},
    }
    file.write_text(yaml.safe_dump(tree))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISTUNE_HOME", str(place / "home"))
        # Left to itself, Ray 2.60 writes a token into the user's own home.
        patch.setenv("RAY_AUTH_MODE", "disabled")
        before = killed_amid_confirming(file, folder())
        shown = distune("sweep", str(file))
        again = distune("confirm", "small")
        results, best = SweepResults.read(folder()), place / "best.yaml"
        best.write_text(export_yaml(results, results.to_export()))
        yield Confirmed(shown, again, before, runs_of(folder()), results.confirmed["tiny_conv"], best)


def distune(*arguments: str) -> str:
    command = [sys.executable, "-m", "search.cli.main", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=os.environ | {"COLUMNS": "80"})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def runs_of(folder: SweepFolder) -> list[FrozenTrial]:
    """The confirming runs, as any other program reads them."""
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(folder.journal)))
    name = study_name("small", "tiny_conv")
    names = [study.study_name for study in storage.get_all_studies()]
    return optuna.load_study(study_name=name, storage=storage).get_trials() if name in names else []


def killed_amid_confirming(file: Path, folder: SweepFolder) -> list[FrozenTrial]:
    """Run the sweep until a run of an arm is over and another is at work, kill its driver; what was recorded."""

    def amid_confirming() -> bool:
        runs = runs_of(folder) if folder.journal.exists() else []
        over = [run for run in runs if run.state == Complete and run.user_attrs["stage"] == "run"]
        return bool(over) and any(run.state == Running and run.intermediate_values for run in runs)

    kill_when(amid_confirming, start(file))
    return runs_of(folder)


def folder() -> SweepFolder:
    return open_home().sweep("small")


def mlflow_runs() -> dict[str, Run]:
    client = MlflowClient(open_home().tracking_uri)
    found = client.search_runs([client.get_experiment_by_name("small").experiment_id])
    assert len({run.info.run_name for run in found}) == len(found), "a trial has two runs"
    return {run.info.run_name: run for run in found}


def test_every_arm_is_trained_to_the_end_on_the_same_seeds(confirmed):
    found = confirmed.found
    assert [arm.kind for arm in found.arms][:2] == ["candidate"] * 2
    assert {arm.kind for arm in found.arms[2:]} == {"no_distillation", "logits_only"}
    assert {tuple(arm.runs) for arm in found.arms} == {found.seeds} and len(found.seeds) == 2
    assert {len(trial.intermediate_values) for trial in confirmed.trials} == {EPOCHS}


def test_no_run_is_trained_twice_and_what_was_finished_is_untouched(confirmed):
    assert {trial.state for trial in confirmed.trials} == {Complete}
    keys = [(trial.user_attrs["stage"], sorted(trial.user_attrs["config"].items())) for trial in confirmed.trials]
    assert all(keys.count(key) == 1 for key in keys)
    for old in confirmed.before:
        new = confirmed.trials[old.number]
        assert old.intermediate_values.items() <= new.intermediate_values.items()
        assert old.state == Running or new == old


def test_test_metrics_are_of_arms_alone(confirmed):
    for trial in confirmed.trials:
        assert ("test" in trial.user_attrs) == (trial.user_attrs["stage"] == "run")


def test_confirming_again_trains_nothing_and_shows_the_same(confirmed):
    def table(shown: str) -> str:
        return shown[shown.index("tiny_conv confirmed") : shown.index("export a best")]

    assert "tiny_conv 1/" not in confirmed.shown_again
    assert table(confirmed.shown_again) == table(confirmed.shown)


def test_mlflow_has_a_run_each_with_what_it_is_and_the_parents_summary(confirmed):
    runs = mlflow_runs()
    for trial in confirmed.trials:
        run = runs[f"tiny_conv-confirm-{trial.number:03d}"]
        assert (run.info.status, run.data.tags["distune.stage"]) == ("FINISHED", "confirm")
        assert run.data.tags["distune.role"] == trial.user_attrs["stage"]
        assert run.data.params["seed"] == run.data.tags["distune.seed"] == str(trial.user_attrs["config"]["seed"])
        assert run.data.tags["distune.node"] == platform.node() and run.data.metrics["peak_memory_mb"] > 0
        if trial.user_attrs["stage"] == "run":
            assert run.data.metrics["test_pauc"] == trial.user_attrs["test"]["test_pauc"]
    parent, found = runs["tiny_conv"], confirmed.found
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["distune.best_trial"] == str(SweepResults.read(folder()).best("tiny_conv").number)
    assert (parent.data.metrics["trials_finished"], parent.data.metrics["epochs_trained"]) == (3, 3 * EPOCHS)
    assert "gain_over_no_distillation" in parent.data.metrics and parent.data.metrics["sweep_hours"] > 0
    assert parent.data.metrics["confirmed_test_pauc"] == pytest.approx(found.spread(found.winner, "test_pauc").mean)
    assert len(runs) == 1 + 3 + len(confirmed.trials)


def test_every_confirmed_run_keeps_its_student_and_scores_that_give_its_test_metrics(confirmed):
    runs = [trial for trial in confirmed.trials if trial.user_attrs["stage"] == "run"]
    assert sorted(path.name for path in folder().confirmed.iterdir()) == [f"tiny_conv-{run.number:03d}" for run in runs]
    for run in runs:
        with np.load(folder().confirmed_run("tiny_conv", run.number) / "scores.npz") as kept:
            read = evaluate(kept["test_scores"], kept["test_labels"], fpr=0.05, false_accepts_per_hour=1.0)
        assert read["pauc"] == pytest.approx(run.user_attrs["test"]["test_pauc"])


def test_the_winner_is_an_mlflow_model_and_the_students_champion(confirmed, monkeypatch):
    uri, found = open_home().tracking_uri, confirmed.found
    client = MlflowClient(uri)
    version = client.get_model_version_by_alias("tiny_conv", "champion")
    assert client.get_model_version_by_alias("tiny_conv", "sweep-small").version == version.version
    number = found.winner.numbers[found.best_seed(found.winner)]
    assert version.tags["distune.run"] == f"tiny_conv-confirm-{number:03d}"
    assert float(version.tags["distune.confirmed"]) == found.spread(found.winner, "val_pauc").mean
    # In the environment, which is as it was afterwards.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    model = mlflow.pyfunc.load_model("models:/tiny_conv@champion")
    assert model.metadata.signature.inputs.inputs[0].shape == (-1, 1, 64, 151)
    _, student, _ = best_student(found.winner.checkpoints[found.best_seed(found.winner)])
    mel = np.random.default_rng(0).normal(size=(3, 1, 64, 151)).astype(np.float32)
    with torch.inference_mode():
        assert model.predict(mel) == pytest.approx(student(torch.from_numpy(mel)).numpy(), abs=1e-5)


def test_every_run_has_clips_and_teacher_by_their_fingerprints(confirmed):
    facts = SweepResults.read(folder()).facts
    client = MlflowClient(open_home().tracking_uri)
    for run in mlflow_runs().values():
        inputs = client.get_run(run.info.run_id).inputs
        (clips,), (teacher,) = inputs.dataset_inputs, inputs.model_inputs
        assert facts["clips"]["fingerprint"].startswith(clips.dataset.digest)
        assert client.get_logged_model(teacher.model_id).tags["distune.fingerprint"] == facts["teacher"]["fingerprint"]


def test_what_is_exported_is_the_confirmed_winner_and_reproduces(confirmed):
    text, winner = confirmed.file.read_text(), confirmed.found.winner
    section = yaml.safe_load(text)["distune"]
    assert re.search(r"confirmed on 2 seeds: val_pauc \d\.\d{3} ± ", text)
    assert section["trial_number"] == winner.trial_number
    assert section["confirmed"]["test_pauc"]["n"] == 2 and section["trial"]["seed"] in confirmed.found.seeds
    again = reproduce_trial(confirmed.file, silent_steps)
    assert again.again["val_pauc"] == again.exported["val_pauc"]
