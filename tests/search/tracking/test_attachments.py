"""Files, clips and teacher of a run, in the default store: a database beside a folder of artifacts."""

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from search.home import Home
from search.record.states import TrialState
from search.tracking.batch import Inputs
from search.tracking.tracker import Tracker

COUNTS = {"train": {"positive": 5, "negative": 7, "hard_negative": 2}, "val": {"positive": 2, "negative": 3}}
INPUTS = Inputs(
    clips={"path": "/data/sirius", "fingerprint": "c" * 64, "counts": COUNTS},
    teacher={"fingerprint": "t1/h1", "teacher.architecture": "wav2vec2", "teacher.secondary_model": None},
)


def opened(home: Home, inputs: Inputs | None = None) -> Tracker:
    return Tracker.open(home.tracking_uri, "first", home.artifacts, home.root / "spool", inputs=inputs)


@pytest.fixture
def client(home: Home) -> MlflowClient:
    return MlflowClient(home.tracking_uri)


def page(folder: Path, text: str) -> Path:
    file = folder / "written-here.html"
    file.write_text(text)
    return file


def test_files_are_artifacts_of_the_students_run_under_the_paths_given(home, records, client, tmp_path):
    with opened(home) as tracker:
        tracker.start_student("tiny_conv")
        file = page(tmp_path, "hello")
        tracker.log_files("tiny_conv", {"plots/history.html": file, "best.yaml": file})
        tracker.log_files("tiny_conv", {"why.html": file}, number=0)
    parent, trial = (records.runs()[name].info.run_id for name in ("tiny_conv", "tiny_conv-000"))
    assert sorted(found.path for found in client.list_artifacts(parent)) == ["best.yaml", "plots"]
    assert [found.path for found in client.list_artifacts(parent, "plots")] == ["plots/history.html"]
    assert Path(client.download_artifacts(trial, "why.html")).read_text() == "hello"


def test_a_file_that_is_logged_again_replaces_what_was_there(home, records, client, tmp_path):
    for text in ("old", "new"):
        with opened(home) as tracker:
            tracker.log_files("tiny_conv", {"a.html": page(tmp_path, text)})
    run = records.runs()["tiny_conv"].info.run_id
    assert Path(client.download_artifacts(run, "a.html")).read_text() == "new"


def test_a_file_that_is_gone_is_told_and_holds_up_neither_points_nor_other_files(
    home, records, client, tmp_path, caplog
):
    with opened(home) as tracker:
        tracker.start_trial("tiny_conv", 0, {})
        tracker.log_files(
            "tiny_conv", {"gone.html": tmp_path / "gone.html", "here.html": page(tmp_path, "x")}, number=0
        )
        tracker.log_epoch("tiny_conv", 0, 1, {"val_f1": 0.5})
        tracker.end_trial("tiny_conv", 0, TrialState.FINISHED)
    run = records.runs()["tiny_conv-000"]
    assert "gone.html" in caplog.text and (run.info.status, run.data.metrics) == ("FINISHED", {"val_f1": 0.5})
    assert [found.path for found in client.list_artifacts(run.info.run_id)] == ["here.html"]


def test_every_run_has_the_clips_and_the_teacher_as_inputs_once(home, records, client):
    for number in (0, 1):
        with opened(home, INPUTS) as tracker:
            tracker.start_student("tiny_conv")
            tracker.start_trial("tiny_conv", number, {})
    runs = records.runs()
    assert sorted(runs) == ["tiny_conv", "tiny_conv-000", "tiny_conv-001"]
    teachers = set()
    for run in runs.values():
        inputs = client.get_run(run.info.run_id).inputs
        (clips,), (teacher,) = inputs.dataset_inputs, inputs.model_inputs
        assert (clips.dataset.name, clips.dataset.digest) == ("sirius", "c" * 36)
        assert '"num_rows": 19' in clips.dataset.profile and '"hard_negative": 2' in clips.dataset.profile
        teachers.add(teacher.model_id)
    model = client.get_logged_model(teachers.pop())
    assert teachers == set() and (model.name, model.tags["distune.fingerprint"]) == ("teacher", "t1/h1")
    assert model.params == {"fingerprint": "t1/h1", "teacher.architecture": "wav2vec2"}


def test_runs_say_what_they_were_made_with(home, records, tmp_path, monkeypatch):
    with opened(home) as tracker:
        tracker.start_student("tiny_conv")
        tracker.start_trial("tiny_conv", 0, {})
        tracker.log_epoch("tiny_conv", 0, 1, {"val_f1": 0.5}, node="ann")
        tracker.log_epoch("tiny_conv", 0, 2, {"val_f1": 0.5}, node="bob")
    for run in records.runs().values():
        versions = {key for key in run.data.tags if key.startswith("distune.version.")}
        assert versions == {f"distune.version.{name}" for name in ("distune", "torch", "ray", "optuna", "mlflow")}
    assert records.runs()["tiny_conv-000"].data.tags["distune.node"] == "bob"
