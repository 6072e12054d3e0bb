"""A sweep as its user sees it: real clips, teacher, Ray, Optuna and MLflow; run, extended, killed, interrupted."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
import yaml
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

from search.export import export_yaml
from search.home import SweepFolder, open_home
from search.ladder import ALWAYS_GO_ON
from search.reproduce import reproduce_trial
from search.results import SweepResults
from search.screen.steps import silent_steps
from search.sweep import Sweep
from trainables.audio.synthesis import SynthesisRequest, synthesise
from trainables.build import read_checkpoint
from trainables.teachers.load import SHIPPED
from trainables.teachers.wav2vec2 import quiet

pytestmark = pytest.mark.slow

Complete, Pruned, Fail, Running = (
    optuna.trial.TrialState[name] for name in ("COMPLETE", "PRUNED", "FAIL", "RUNNING")
)  # fmt: skip
STATUS = {Complete: "FINISHED", Pruned: "KILLED", Fail: "FAILED"}
TRIALS = {"tiny_conv": 4, "mobilenetv3": 3, "resnet18": 1}
EPOCHS = {"tiny_conv": 4, "mobilenetv3": 3, "resnet18": 2}
LONG_EPOCHS = 16


@dataclass(frozen=True)
class Snapshot:
    """What is recorded of a sweep at one time: its studies, its MLflow runs by name, and every metric's points."""

    results: SweepResults
    studies: dict[str, list[FrozenTrial]]
    runs: dict[str, Run]
    points: dict[str, dict[str, list[tuple[int, float]]]]

    def run_of(self, student: str, number: int) -> Run:
        return self.runs[f"{student}-{number:03d}"]


def journal_of(folder: SweepFolder) -> dict[str, list[FrozenTrial]]:
    """Student to its trials that have begun, as any other program reads them."""
    storage = JournalStorage(JournalFileBackend(str(folder.journal)))
    names = [summary.study_name for summary in optuna.get_all_study_summaries(storage)]
    studies = {name.split("/")[1]: optuna.load_study(study_name=name, storage=storage) for name in names}
    begun = (Complete, Pruned, Fail, Running)  # and not those that are only enqueued
    return {student: study.get_trials(states=begun) for student, study in studies.items()}


def snapshot(name: str) -> Snapshot:
    home = open_home()
    client = MlflowClient(home.tracking_uri)
    found = client.search_runs([client.get_experiment_by_name(name).experiment_id])
    assert len({run.info.run_name for run in found}) == len(found), "a trial has two runs"
    points = {
        run.info.run_name: {
            metric: [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, metric)]
            for metric in run.data.metrics
        }
        for run in found
    }
    runs = {run.info.run_name: run for run in found}
    return Snapshot(SweepResults.read(home.sweep(name)), journal_of(home.sweep(name)), runs, points)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with clips and a teacher, and in it distune's home, for this module and its subprocesses."""
    folder = tmp_path_factory.mktemp("sweeps")
    synthesise(
        SynthesisRequest(
            phrase="hey sirius", out=folder / "clips", n_positive=36, n_hard_negative=18, n_negative=54, seed=1
        )
    )
    if not SHIPPED.is_dir():
        _write_random_teacher(folder / "teacher")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISTUNE_HOME", str(folder / "home"))
        # Left to itself, Ray 2.60 writes a token into the user's own home.
        patch.setenv("RAY_AUTH_MODE", "disabled")
        yield folder


def _write_random_teacher(folder: Path) -> None:
    config = Wav2Vec2Config(
        hidden_size=64, num_hidden_layers=3, num_attention_heads=1, intermediate_size=48, conv_dim=(8, 8, 8),
        conv_kernel=(10, 8, 8), conv_stride=(5, 8, 8), num_feat_extract_layers=3, num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(0)
        Wav2Vec2Model(config).save_pretrained(folder)
        Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)


@pytest.fixture(scope="module")
def sweep_file(workplace: Path) -> Callable[..., Path]:
    def write(name: str, **sections: Any) -> Path:
        teacher = {"allow_weak": True} | ({} if SHIPPED.is_dir() else {"model": "teacher"})
        tree = {"data": {"path": "clips", "views": {"count": 2}}, "teacher": teacher, **sections}
        path = workplace / f"{name}.yaml"
        path.write_text(yaml.safe_dump(tree))
        return path

    return write


@pytest.fixture(scope="module")
def sweep(sweep_file) -> Sweep:
    students = {student: {"trials": TRIALS[student], "epochs": EPOCHS[student]} for student in TRIALS}
    # A rate that no student survives: the sweep has to go on without it.
    students["resnet18"]["fixed"] = {"training.learning_rate": 1e30, "distillation.enabled": False}
    path = sweep_file(
        "whole",
        students=students,
        early_stopping={"grace_epochs": 1, "reduction_factor": 9},
        resources={"checkpoint_epochs": 1},
    )
    return Sweep.load(path)


@pytest.fixture(scope="module")
def whole(sweep: Sweep) -> Snapshot:
    sweep.run(silent_steps)
    return snapshot("whole")


@pytest.fixture(scope="module")
def extended(sweep: Sweep, whole: Snapshot) -> Snapshot:
    for _ in range(ALWAYS_GO_ON):
        _record_an_unbeatable_trial(open_home().sweep("whole"))
    sweep.changed({"students.tiny_conv.trials": TRIALS["tiny_conv"] + ALWAYS_GO_ON + 1}).run(silent_steps)
    return snapshot("whole")


def _record_an_unbeatable_trial(folder: SweepFolder) -> None:
    """As another driver would have left it: whatever comes after enough of them must fall behind at the first rung."""
    study = optuna.load_study(
        study_name=f"{folder.path.name}/tiny_conv", storage=JournalStorage(JournalFileBackend(str(folder.journal)))
    )
    trial, like = study.ask(), study.best_trial
    for name, value in like.user_attrs.items():
        trial.set_user_attr(name, value)
    for epoch in range(1, EPOCHS["tiny_conv"] + 1):
        trial.report(2.0, epoch)
    study.tell(trial, 2.0)


def test_every_trial_ends_as_what_it_was(whole):
    assert {student: len(trials) for student, trials in whole.studies.items()} == TRIALS
    for student in ("tiny_conv", "mobilenetv3"):
        states = {trial.state for trial in whole.studies[student]}
        assert Complete in states and states <= {Complete, Pruned}
    assert [trial.state for trial in whole.studies["resnet18"]] == [Fail]
    assert whole.results.n_missing == 0


def test_a_finished_trial_ran_to_its_end_and_is_worth_its_best_epoch(whole):
    for student in ("tiny_conv", "mobilenetv3"):
        for trial in whole.studies[student]:
            assert sorted(trial.intermediate_values) == list(range(1, len(trial.intermediate_values) + 1))
            if trial.state == Complete:
                assert len(trial.intermediate_values) == EPOCHS[student]
                assert trial.value == max(trial.intermediate_values.values())
            else:
                assert len(trial.intermediate_values) in (1, 3)  # the rungs


def test_a_trial_keeps_its_last_checkpoint_alone(whole):
    for trial in (*whole.studies["tiny_conv"], *whole.studies["mobilenetv3"]):
        noted = Path(trial.user_attrs["checkpoint"])
        assert list(noted.parent.glob("checkpoint_*")) == [noted]


def test_known_points_ran_first(whole):
    names = [trial.user_attrs.get("known_point") for trial in whole.studies["tiny_conv"]]
    assert names == ["no_distillation", "guide", "alignment_alone", "guide_with_alignment"]


def test_a_trial_that_fails_says_where_and_what_to_turn_and_the_others_go_on(whole):
    (trial,) = whole.studies["resnet18"]
    reason = trial.user_attrs["reason"]
    assert re.fullmatch(
        r"NonFiniteLossError: .*loss not finite in epoch 1, step \d of 3 of training; "
        r"lower training\.learning_rate \(now 1e\+30\)",
        reason,
    )
    assert whole.run_of("resnet18", 0).data.tags["distune.reason"] == reason


def test_mlflow_has_a_parent_run_a_student_and_a_child_run_a_trial(whole):
    trials = {f"{student}-{number:03d}" for student, n_trials in TRIALS.items() for number in range(n_trials)}
    assert set(whole.runs) == trials | set(TRIALS)
    for student, n_trials in TRIALS.items():
        parent = whole.runs[student]
        assert parent.info.status == "FINISHED"
        assert "teacher_val_f1" in parent.data.metrics
        for number in range(n_trials):
            assert whole.run_of(student, number).data.tags["mlflow.parentRunId"] == parent.info.run_id


def test_mlflow_says_of_each_trial_what_optuna_says(whole):
    metric = "val_pauc"
    for student, trials in whole.studies.items():
        for trial in trials:
            run = whole.run_of(student, trial.number)
            assert run.info.status == STATUS[trial.state]
            assert run.data.params == {key: str(value) for key, value in trial.user_attrs["config"].items()}
            points = whole.points[run.info.run_name].get(metric, [])
            assert points == sorted(trial.intermediate_values.items())


def test_every_metric_has_one_point_an_epoch(whole):
    trial = next(trial for trial in whole.studies["tiny_conv"] if trial.state == Complete)
    points = whole.points[f"tiny_conv-{trial.number:03d}"]
    steps = {metric: [step for step, _ in history] for metric, history in points.items()}
    per_epoch = {metric: found for metric, found in steps.items() if not metric.startswith("best_")}
    assert {"train_loss", "val_loss", "val_f1", "val_eer", "learning_rate", "temperature"} <= set(per_epoch)
    assert all(found == [1, 2, 3, 4] for found in per_epoch.values()), per_epoch
    assert points["best_val_pauc"] == [(4, pytest.approx(trial.value))]


def test_the_frame_has_every_trial_and_agrees_with_the_study(whole):
    frame = whole.results.frame()
    assert len(frame) == sum(TRIALS.values())
    finished = frame[(frame["student"] == "tiny_conv") & (frame["state"] == "finished")]
    best = whole.results.best("tiny_conv")
    assert finished["val_pauc"].max() == best.objective
    assert frame[frame["student"] == "resnet18"]["reason"].str.contains("not finite").all()


def test_the_exported_best_trial_reproduces_its_metrics_exactly(whole, tmp_path):
    best = whole.results.best("tiny_conv")
    file = tmp_path / "best.yaml"
    file.write_text(export_yaml(whole.results, best))
    section = yaml.safe_load(file.read_text())
    assert section["training"]["learning_rate"] == best.config.training.learning_rate
    assert section["distune"]["trial_number"] == best.number
    reproduction = reproduce_trial(file, silent_steps)
    compared = {name for name in reproduction.exported if not name.endswith("_seconds")}
    assert compared >= {"val_pauc", "val_f1", "train_loss", "epoch"}
    assert {name: reproduction.again[name] for name in compared} == {
        name: reproduction.exported[name] for name in compared
    }


def test_an_extended_sweep_keeps_what_it_has_and_adds_what_is_missing(whole, extended):
    before, after = whole.studies["tiny_conv"], extended.studies["tiny_conv"]
    assert after[: len(before)] == before
    assert len(after) == len(before) + ALWAYS_GO_ON + 1  # the unbeatable ones, and a new one
    rates = [trial.params["training.learning_rate"] for trial in (*before[3:], after[-1])]
    assert len(set(rates)) == 2, "the extension drew the same trial again"
    assert extended.studies["mobilenetv3"] == whole.studies["mobilenetv3"]
    assert {name: extended.points[name] for name in whole.points if "-" in name} == {
        name: points for name, points in whole.points.items() if "-" in name
    }
    assert {run.info.status for run in extended.runs.values()} == {"FINISHED", "KILLED", "FAILED"}


def test_a_trial_that_falls_behind_recorded_ones_is_pruned_everywhere(extended):
    trial = extended.studies["tiny_conv"][-1]
    assert trial.state == Pruned and list(trial.intermediate_values) == [1, 2]  # warm-up lasts two
    run = extended.run_of("tiny_conv", trial.number)
    assert run.info.status == "KILLED"
    assert run.data.tags["distune.state"] == "pruned" and run.data.tags["distune.stopped_at_epoch"] == "2"
    frame = extended.results.frame().query("student == 'tiny_conv'")
    assert frame["state"].tolist()[-1] == "pruned"


@pytest.fixture(scope="module")
def long_sweep(sweep_file) -> Callable[[str], Path]:
    """Trials that take seconds, two at a time, with a checkpoint every second epoch."""

    def write(name: str) -> Path:
        return sweep_file(
            name, students={"tiny_conv": {}}, budget={"trials": 4, "epochs": LONG_EPOCHS},
            early_stopping={"scheduler": "none"},
            resources={"checkpoint_epochs": 2, "max_concurrent_trials": 2, "cpus_per_trial": 0.5},
        )  # fmt: skip

    return write


def start(file: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "search.cli.main", "sweep", str(file)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_until_half_done(process: subprocess.Popen[str], folder: SweepFolder) -> list[FrozenTrial]:
    """Until a trial has finished and another has a checkpoint behind it; what is then recorded."""
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        trials = journal_of(folder).get("tiny_conv", []) if folder.journal.exists() else []
        half_way = [trial for trial in trials if trial.state == Running and "checkpoint" in trial.user_attrs]
        if half_way and any(trial.state == Complete for trial in trials):
            return trials
        time.sleep(0.1)
    raise AssertionError("the sweep did not get half-way in time")


def finished_by_running_again(file: Path) -> tuple[str, str]:
    process = start(file)
    out, err = process.communicate(timeout=150)
    assert process.returncode == 0, out + err
    return out, err


def epochs_before_resumption(folder: SweepFolder) -> dict[int, int]:
    """Trial number to the epochs that it had behind it when the latest Tune run took it up."""
    latest = max(folder.ray.iterdir())
    (state,) = latest.glob("experiment_state-*.json")
    results = [json.loads(runtime)["last_result"] for _, runtime in json.loads(state.read_text())["trial_data"]]
    return {result["config"]["number"]: result["epoch"] - result["training_iteration"] for result in results}


def assert_whole_and_without_repetition(name: str, before: list[FrozenTrial]) -> None:
    """All four trials finished, those that were finished untouched, each epoch recorded once, left-overs resumed."""
    recorded = snapshot(name)
    trials = recorded.studies["tiny_conv"]
    assert [trial.state for trial in trials] == [Complete] * 4
    for old in before:
        if old.state == Complete:
            assert trials[old.number] == old
        # What was reported stands.
        assert old.intermediate_values.items() <= trials[old.number].intermediate_values.items()
    for trial in trials:
        assert sorted(trial.intermediate_values) == list(range(1, LONG_EPOCHS + 1))
        assert recorded.points[f"tiny_conv-{trial.number:03d}"]["val_pauc"] == sorted(trial.intermediate_values.items())
    for name_of_run, points in recorded.points.items():
        for metric, history in points.items():
            steps = [step for step, _ in history]
            assert len(steps) == len(set(steps)), f"{name_of_run} has points of {metric} twice"
    assert {run.info.status for run in recorded.runs.values()} == {"FINISHED"}


def test_a_sweep_whose_driver_is_killed_goes_on_where_it_was(long_sweep, workplace):
    file, folder = long_sweep("killed"), open_home().sweep("killed")
    process = start(file)
    wait_until_half_done(process, folder)
    process.kill()
    process.communicate()
    before = journal_of(folder)["tiny_conv"]
    left = {
        trial.number: read_checkpoint(trial.user_attrs["checkpoint"])["epoch"]
        for trial in before
        if trial.state == Running and "checkpoint" in trial.user_attrs
    }
    assert left
    _, err = finished_by_running_again(file)
    assert_whole_and_without_repetition("killed", before)
    resumed = epochs_before_resumption(folder)
    assert {number: resumed[number] for number in left} == left
    finished = {trial.number for trial in before if trial.state == Complete}
    assert not finished & set(resumed), "a finished trial was run again"
    assert not re.search(r"it/s|Traceback|ray::|\[I \d", err), err


def test_a_sweep_that_is_interrupted_exits_130_says_how_to_resume_and_resumes(long_sweep, workplace):
    file, folder = long_sweep("interrupted"), open_home().sweep("interrupted")
    process = start(file)
    wait_until_half_done(process, folder)
    # As a terminal does: to the command and all that it started.
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert re.search(rf"trials yet to end: [123]; go on with: distune .*sweep {re.escape(str(file))}", out), out
    assert not re.search(r"it/s|Traceback|ray::|\[I \d", err), err
    stopped = snapshot("interrupted")
    # A trial that Tune had not started yet has no run.
    reported = [trial for trial in stopped.studies["tiny_conv"] if trial.intermediate_values]
    told = {trial.number: stopped.run_of("tiny_conv", trial.number).data.tags["distune.state"] for trial in reported}
    expected = {Complete: "finished", Running: "interrupted"}
    assert told == {trial.number: expected[trial.state] for trial in reported}
    assert "RUNNING" not in {run.info.status for run in stopped.runs.values()}
    assert stopped.runs["tiny_conv"].data.tags["distune.state"] == "interrupted"
    finished_by_running_again(file)
    assert_whole_and_without_repetition("interrupted", stopped.studies["tiny_conv"])
