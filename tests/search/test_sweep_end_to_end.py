"""A sweep as its user sees it: real clips, teacher, Ray, Optuna and MLflow; run, extended, interrupted."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
import yaml
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from search.export import export_yaml
from search.home import SweepFolder, open_home
from search.reproduce import reproduce_trial
from search.run.ladder import ALWAYS_GO_ON
from search.screen.steps import silent_steps
from search.sweep import Sweep
from tests.search.sweeps import (
    PATIENCE_SECONDS,
    Complete,
    Fail,
    Pruned,
    Running,
    Snapshot,
    halted_when,
    journal_of,
    snapshot,
    start,
)

pytestmark = pytest.mark.slow

STATUS = {Complete: "FINISHED", Pruned: "KILLED", Fail: "FAILED"}
TRIALS = {"tiny_conv": 4, "mobilenetv3": 3, "resnet18": 1}
EPOCHS = {"tiny_conv": 4, "mobilenetv3": 3, "resnet18": 2}
# The grace period; a rate of mobilenetv3's space may still be warming up after it.
RUNGS = {"tiny_conv": [1], "mobilenetv3": [2]}
LONG_EPOCHS = 16


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
                assert len(trial.intermediate_values) in RUNGS[student]


def test_a_finished_trial_keeps_its_last_checkpoint_alone_and_a_pruned_one_none(whole):
    for trial in (*whole.studies["tiny_conv"], *whole.studies["mobilenetv3"]):
        noted = Path(trial.user_attrs["checkpoint"])
        assert list(noted.parent.glob("checkpoint_*")) == ([noted] if trial.state == Complete else [])


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
            params = trial.user_attrs["config"] | {f"size.{key}": n for key, n in trial.user_attrs["size"].items()}
            assert run.data.params == {key: str(value) for key, value in params.items()}
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
    assert after[-1].params not in [trial.params for trial in before], "the extension drew the same trial again"
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


def half_done(folder: SweepFolder) -> bool:
    """Whether a trial has finished and another has a checkpoint behind it."""
    trials = journal_of(folder).get("tiny_conv", [])
    half_way = [trial for trial in trials if trial.state == Running and "checkpoint" in trial.user_attrs]
    return bool(half_way) and any(trial.state == Complete for trial in trials)


def finished_by_running_again(file: Path) -> tuple[str, str]:
    process = start(file)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, out + err
    return out, err


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


def test_a_sweep_that_is_interrupted_exits_130_says_how_to_resume_and_resumes(long_sweep, workplace):
    file, folder = long_sweep("interrupted"), open_home().sweep("interrupted")
    process = start(file)
    with halted_when(lambda: half_done(folder), process):
        # As a terminal does: to the command and all that it started.
        os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
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
