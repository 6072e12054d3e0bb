import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from search.home import Home
from search.record.states import TrialState
from search.tracking import writer as tracking_writer
from search.tracking.batch import Batch, RunKey, Stage
from search.tracking.store import TrackingStore, absolute_uri, connect
from search.tracking.tracker import Tracker
from spaces.errors import InputError

PARAMS = {"distillation.alpha": 0.3, "distillation.alignment_layers": [2, 4, 6], "training.learning_rate": 3e-3}


def opened(home: Home, name: str = "first", stage: Stage = "search") -> Tracker:
    return Tracker.open(home.tracking_uri, name, home.artifacts, home.root / f"{name}.spool", stage)


def test_trials_are_children_of_their_students_run(home, records):
    with opened(home) as tracker:
        tracker.start_student("tiny_conv", {"budget.trials": 8}, {"note": "hello"})
        tracker.start_trial("tiny_conv", 3, PARAMS)
    runs = records.runs()
    parent, child = runs["tiny_conv"], runs["tiny_conv-003"]
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert (child.data.tags["distune.student"], child.data.tags["distune.trial"]) == ("tiny_conv", "3")
    assert (parent.data.params, parent.data.tags["note"]) == ({"budget.trials": "8"}, "hello")


def test_params_keep_the_platforms_keys_and_metrics_their_epochs(home, records):
    with opened(home) as tracker:
        tracker.start_trial("tiny_conv", 0, PARAMS)
        for epoch in (1, 2, 3):
            tracker.log_epoch("tiny_conv", 0, epoch, {"val_pauc": epoch / 10, "val_f1": 0.0})
        tracker.end_trial("tiny_conv", 0, TrialState.FINISHED, metrics={"best_val_pauc": 0.3})
    run = records.runs()["tiny_conv-000"]
    assert run.data.params == {key: str(value) for key, value in PARAMS.items()}
    assert records.history(run.info.run_name, "val_pauc") == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert records.history(run.info.run_name, "val_f1") == [(1, 0.0), (2, 0.0), (3, 0.0)]
    assert records.history(run.info.run_name, "best_val_pauc") == [(3, 0.3)]


@pytest.mark.parametrize(
    ("state", "status", "tags"),
    [
        (TrialState.FINISHED, "FINISHED", {}),
        (
            TrialState.PRUNED,
            "KILLED",
            {"distune.stopped_at_epoch": "5", "distune.reason": "early stopping after epoch 5"},
        ),
        (TrialState.FAILED, "FAILED", {"distune.reason": "loss is nan"}),
        (TrialState.INTERRUPTED, "KILLED", {"distune.reason": "Ctrl-C"}),
    ],
)
def test_a_run_says_how_its_trial_ended(home, records, state, status, tags):
    with opened(home) as tracker:
        tracker.start_trial("tiny_conv", 0, {})
        tracker.log_epoch("tiny_conv", 0, 5, {"val_pauc": 0.5})
        given = tags.get("distune.reason") if state is not TrialState.PRUNED else None
        tracker.end_trial("tiny_conv", 0, state, reason=given)
    run = records.runs()["tiny_conv-000"]
    told = {key: value for key, value in run.data.tags.items() if re.match(r"distune\.(?!version|git)", key)}
    assert run.info.status == status
    of_the_run = {"distune.student": "tiny_conv", "distune.trial": "0", "distune.stage": "search"}
    assert told == of_the_run | {"distune.state": state} | tags
    assert run.info.end_time >= run.info.start_time


def test_closing_marks_what_still_runs_as_interrupted(home, records):
    tracker = opened(home)
    tracker.start_student("tiny_conv")
    tracker.start_trial("tiny_conv", 0, {})
    tracker.end_trial("tiny_conv", 0, TrialState.FINISHED)
    tracker.start_trial("tiny_conv", 1, {})
    assert tracker.close() == 0
    states = {name: (run.info.status, run.data.tags["distune.state"]) for name, run in records.runs().items()}
    assert states == {
        "tiny_conv": ("KILLED", "interrupted"),
        "tiny_conv-000": ("FINISHED", "finished"),
        "tiny_conv-001": ("KILLED", "interrupted"),
    }


def test_confirming_runs_have_runs_of_their_own_beside_trials_of_their_number(home, records):
    for _ in range(2):  # a second process finds both again
        with opened(home) as tracker:
            tracker.start_trial("tiny_conv", 0, {})
            tracker.end_trial("tiny_conv", 0, TrialState.PRUNED)
        with opened(home, stage="confirm") as tracker:
            assert not tracker.knows_end_of("tiny_conv", 1)
            tracker.start_trial("tiny_conv", 0, {})
            tracker.end_trial("tiny_conv", 0, TrialState.FINISHED)
    runs = records.runs()
    assert {name: run.info.status for name, run in runs.items() if "-" in name} == {
        "tiny_conv-000": "KILLED", "tiny_conv-confirm-000": "FINISHED",
    }  # fmt: skip
    assert runs["tiny_conv-confirm-000"].data.tags["distune.stage"] == "confirm"
    with opened(home, stage="confirm") as tracker:
        assert tracker.knows_end_of("tiny_conv", 0)


def test_a_resumed_trial_continues_its_run_and_writes_no_point_twice(home, records, wait_for):
    with opened(home) as tracker:
        tracker.start_student("tiny_conv")
        tracker.start_trial("tiny_conv", 0, PARAMS)
        for epoch in (1, 2, 3):
            tracker.log_epoch("tiny_conv", 0, epoch, {"val_pauc": epoch / 10})
    with opened(home) as resumed:
        assert resumed.recorded[RunKey("tiny_conv", 0)] is TrialState.INTERRUPTED
        resumed.start_student("tiny_conv")
        resumed.start_trial("tiny_conv", 0, PARAMS)
        for epoch in (2, 3, 4):  # from the checkpoint after epoch 1
            resumed.log_epoch("tiny_conv", 0, epoch, {"val_pauc": epoch / 10, "val_f1": 0.5})
        wait_for(lambda: records.runs()["tiny_conv-000"].info.status == "RUNNING")
        resumed.end_trial("tiny_conv", 0, TrialState.FINISHED)
        resumed.end_student("tiny_conv", {})
    runs = records.runs()
    assert sorted(runs) == ["tiny_conv", "tiny_conv-000"]
    assert [run.info.status for run in runs.values()] == ["FINISHED", "FINISHED"]
    assert records.history("tiny_conv-000", "val_pauc") == [(1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4)]


KILLED_DRIVER = """
import os, pathlib, signal, sys
from search.home import Home
from search.tracking.tracker import Tracker
home = Home(pathlib.Path(sys.argv[1]))
tracker = Tracker.open(home.tracking_uri, "first", home.artifacts, home.root / "first.spool")
tracker.start_trial("tiny_conv", 0, {"seed": 7})
tracker.log_epoch("tiny_conv", 0, 1, {"val_f1": 0.5, "train_loss": 1.5})
if sys.argv[2] == "later":
    print("told", flush=True)
    signal.pause()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.parametrize("when", ["at once", "later"])
def test_a_driver_killed_outright_leaves_what_the_next_one_makes_whole(home, records, wait_for, when):
    """Killed before anything was sent, or after."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", KILLED_DRIVER, str(home.root), when]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as driver:
        if when == "later":
            assert driver.stdout.readline() == b"told\n"
            wait_for(lambda: records.have_metrics("tiny_conv-000"))
            driver.kill()
    with opened(home) as resumed:
        resumed.start_trial("tiny_conv", 0, {"seed": 7})
        # From a checkpoint after epoch 1; the record replays what it has of that epoch.
        resumed.log_epoch("tiny_conv", 0, 1, {"val_f1": 0.5})
        resumed.log_epoch("tiny_conv", 0, 2, {"val_f1": 0.6, "train_loss": 1.2})
        resumed.end_trial("tiny_conv", 0, TrialState.FINISHED)
    run = records.runs()["tiny_conv-000"]
    assert (run.info.status, run.data.params) == ("FINISHED", {"seed": "7"})
    assert records.history(run.info.run_name, "val_f1") == [(1, 0.5), (2, 0.6)]
    assert records.history(run.info.run_name, "train_loss") == [(1, 1.5), (2, 1.2)]


def test_a_param_that_changed_since_stays_and_its_new_value_is_a_tag(home, records):
    for n_trials in (8, 16):
        with opened(home) as tracker:
            tracker.start_student("tiny_conv", {"budget.trials": n_trials, "budget.epochs": 5})
    run = records.runs()["tiny_conv"]
    assert run.data.params == {"budget.trials": "8", "budget.epochs": "5"}
    updated = {key: value for key, value in run.data.tags.items() if key.startswith("distune.updated")}
    assert updated == {"distune.updated.budget.trials": "16"}


def test_a_summary_is_written_once_for_every_number_of_trials_that_are_over(home, records):
    for number, best in ((0, 0.7), (1, 0.8), (1, 0.8)):  # a sweep, one more trial, and a resume with nothing to do
        with opened(home) as tracker:
            tracker.start_student("tiny_conv")
            tracker.start_trial("tiny_conv", number, {})
            tracker.end_trial("tiny_conv", number, TrialState.FINISHED)
            tracker.end_student("tiny_conv", {"best_val_pauc": best})
    run = records.runs()["tiny_conv"]
    assert (run.info.status, records.history(run.info.run_name, "best_val_pauc")) == ("FINISHED", [(1, 0.7), (2, 0.8)])


def test_more_than_one_call_may_carry_arrives_whole(home, records):
    with opened(home) as tracker:
        tracker.start_trial("tiny_conv", 0, {f"p{i}": i for i in range(150)}, {f"t{i}": i for i in range(150)})
        for epoch in range(1, 102):
            tracker.log_epoch("tiny_conv", 0, epoch, {f"m{i}": float(i) for i in range(12)})  # 1212 points
    run = records.runs()["tiny_conv-000"]
    assert (len(run.data.params), sum(key.startswith("t") for key in run.data.tags)) == (150, 150)
    assert records.history(run.info.run_name, "m11") == [(epoch, 11.0) for epoch in range(1, 102)]


def test_runs_beyond_the_first_page_of_a_search_are_found_again(home, monkeypatch):
    monkeypatch.setattr("search.tracking.store.RUNS_PER_PAGE", 2)
    with opened(home) as tracker:
        for number in range(5):
            tracker.start_trial("tiny_conv", number, {})
    assert sorted(opened(home).recorded) == [RunKey("tiny_conv", number) for number in range(5)]


def test_telling_the_tracker_does_not_wait_for_mlflow(home, monkeypatch):
    told, heard = threading.Event(), []

    def write(store: TrackingStore, batch: Batch) -> None:
        """It takes longer than all there is to tell."""
        heard.append(told.wait(60))

    monkeypatch.setattr(TrackingStore, "write", write)
    with opened(home) as tracker:
        for epoch in range(1000):
            tracker.log_epoch("tiny_conv", 0, epoch, {"val_pauc": 0.5, "val_f1": 0.5})
        told.set()
    assert heard and all(heard)


def test_a_database_that_cannot_be_made_out_is_waited_for_and_gets_everything(
    home, records, wait_for, monkeypatch, caplog
):
    monkeypatch.setattr(tracking_writer, "ATTEMPTS", 2)
    monkeypatch.setattr(tracking_writer, "FIRST_WAIT_SECONDS", 0.1)
    database = home.root / "mlflow.db"
    with opened(home) as tracker:
        tracker.start_trial("tiny_conv", 0, PARAMS)
    sound = database.read_bytes()
    with opened(home) as tracker:
        with database.open("r+b") as file:  # in its place, as a disk that fails would have it
            file.write(bytes(len(sound)))
        tracker.log_epoch("tiny_conv", 0, 1, {"val_pauc": 0.5})
        wait_for(lambda: "does not answer" in caplog.text)
        with database.open("r+b") as file:
            file.write(sound)
    assert "refuses" not in caplog.text
    assert records.history("tiny_conv-000", "val_pauc") == [(1, 0.5)]


def test_what_is_no_number_is_refused_where_it_is_reported(home):
    with opened(home) as tracker, pytest.raises(TypeError):
        tracker.log_epoch("tiny_conv", 0, 1, {"val_pauc": None})


def test_a_closed_tracker_refuses_more(home):
    tracker = opened(home)
    tracker.close()
    with pytest.raises(RuntimeError, match="closed, so run tiny_conv-000 cannot be written"):
        tracker.start_trial("tiny_conv", 0, {})


def test_a_run_that_the_user_deleted_is_dropped_and_holds_up_no_other(home, records, wait_for, caplog):
    with opened(home) as tracker:
        tracker.start_trial("tiny_conv", 0, {})
        tracker.start_trial("tiny_conv", 1, {})
        wait_for(lambda: len(records.runs()) == 3)
        MlflowClient(home.tracking_uri).delete_run(records.runs()["tiny_conv-000"].info.run_id)
        for number in (0, 1):
            tracker.log_epoch("tiny_conv", number, 1, {"val_f1": 0.5})
    assert "refuses run tiny_conv-000" in caplog.text
    assert records.runs()["tiny_conv-001"].data.metrics == {"val_f1": 0.5}


@pytest.mark.slow
def test_two_processes_may_open_a_fresh_home_at_once(tmp_path):
    script = (
        "import sys, pathlib; from search.home import open_home; from search.tracking.tracker import Tracker\n"
        "home = open_home(pathlib.Path(sys.argv[1]))\n"
        "Tracker.open(home.tracking_uri, sys.argv[2], home.artifacts, home.root / sys.argv[2]).close()"
    )
    root = Path(__file__).parents[3]
    environment = os.environ | {"PYTHONPATH": str(root)}
    drivers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path), name], env=environment, stderr=subprocess.PIPE, text=True
        )
        for name in ("a", "b")
    ]
    assert [driver.communicate(timeout=300)[1] for driver in drivers] == ["", ""]  # and no migration noise
    names = {experiment.name for experiment in MlflowClient(f"sqlite:///{tmp_path}/mlflow.db").search_experiments()}
    assert names == {"Default", "a", "b"}


def test_artifacts_of_a_database_lie_in_the_home_folder(home):
    tracker = opened(home)
    experiment = MlflowClient(home.tracking_uri).get_experiment(tracker.experiment_id)
    assert experiment.artifact_location == f"file://{home.root}/mlartifacts/first"


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "mlflow.db").write_text("this is a text, not an SQLite database")
    with pytest.raises(InputError, match="is not an SQLite database"):
        connect(f"sqlite:///{tmp_path}/mlflow.db", "first", tmp_path)


def test_a_database_in_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        connect(f"sqlite:///{tmp_path}/file/mlflow.db", "first", tmp_path)


def test_a_database_of_another_mlflow_is_refused_with_the_command_that_upgrades_it(home):
    with sqlite3.connect(home.root / "mlflow.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'bda7b8c39065'")
    with pytest.raises(InputError, match=f"mlflow db upgrade {home.tracking_uri}"):
        opened(home)


def test_a_deleted_experiment_is_refused_rather_than_written_to_unseen(home):
    MlflowClient(home.tracking_uri).delete_experiment(opened(home).experiment_id)
    with pytest.raises(InputError, match=r"first.*was deleted in MLflow"):
        opened(home)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "nonsense://here"])
def test_a_store_that_is_not_there_is_refused_at_once(uri, tmp_path):
    begun = time.monotonic()
    with pytest.raises(InputError, match="cannot be used as an MLflow store"):
        connect(uri, "first", tmp_path)
    assert time.monotonic() - begun < 60  # left to itself, MLflow tries for minutes


def test_a_relative_database_means_the_same_file_wherever_it_is_opened_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute_uri("sqlite:///runs/mlflow.db") == f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert absolute_uri("sqlite:////srv/mlflow.db") == "sqlite:////srv/mlflow.db"
    assert absolute_uri("http://localhost:5000") == "http://localhost:5000"
