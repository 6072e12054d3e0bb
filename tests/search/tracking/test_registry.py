"""Confirmed winners as MLflow models, and who is champion: in a database, and on a server that serves artifacts."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from mlflow.tracking import MlflowClient
from safetensors.torch import save_file

from search.home import Home
from search.tracking.batch import WinningModel
from search.tracking.model import write_model
from search.tracking.registry import beats, own_alias
from search.tracking.tracker import Tracker
from spaces.trial import TrialConfig
from tests.search.tracking.servers import serving
from trainables.build import seeded_student

CONFIG = TrialConfig.from_flat({"model.architecture": "tiny_conv", "model.tcn_num_channels": [4, 4, 4]})


@pytest.fixture(scope="module")
def winner(tmp_path_factory: pytest.TempPathFactory) -> WinningModel:
    folder = tmp_path_factory.mktemp("winner")
    save_file(seeded_student(CONFIG).state_dict(), folder / "student.safetensors")
    write_model(CONFIG, folder / "student.safetensors", folder / "mlflow")
    return WinningModel(
        name="tiny_conv",
        folder=str(folder / "mlflow"),
        sweep="first",
        score=0.8,
        higher_is_better=True,
        measured_by={"objective": json.dumps({"metric": "val_pauc"}), "clips": "c1"},
        facts={"seed": "7"},
    )


@pytest.fixture
def log(home: Home) -> Callable[..., None]:
    """Log a winner of a sweep as its trial ``number`` in a store, by default the home's."""

    def log(model: WinningModel, number: int = 0, uri: str = home.tracking_uri) -> None:
        with Tracker.open(uri, model.sweep, home.artifacts, home.root / f"{model.sweep}.spool", "confirm") as tracker:
            tracker.start_trial(model.name, number, {})
            tracker.log_model(model.name, number, model)

    return log


@pytest.fixture
def champion(home: Home) -> Callable[[], tuple[str, str]]:
    """The sweep and the score of the champion."""

    def champion() -> tuple[str, str]:
        tags = MlflowClient(home.tracking_uri).get_model_version_by_alias("tiny_conv", "champion").tags
        return tags["distune.sweep"], tags["distune.confirmed"]

    return champion


@pytest.fixture(autouse=True)
def _own_store(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading a model asks the store of the process."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", home.tracking_uri)


def test_the_first_winner_is_champion_and_its_model_is_of_its_run_and_its_students(home, winner, log, champion):
    log(winner)
    client = MlflowClient(home.tracking_uri)
    assert champion() == ("first", "0.8")
    version = client.get_model_version_by_alias("tiny_conv", "sweep-first")
    (model,) = client.search_logged_models([client.get_experiment_by_name("first").experiment_id])
    assert (version.run_id, version.tags["distune.seed"]) == (model.source_run_id, "7")
    for run in client.search_runs([model.experiment_id]):
        assert [each.model_id for each in client.get_run(run.info.run_id).outputs.model_outputs] == [model.model_id]


def test_a_model_loads_without_distune_and_says_as_the_student_does(winner, log):
    log(winner)
    loaded = mlflow.pyfunc.load_model("models:/tiny_conv@champion")
    assert loaded.metadata.signature.inputs.inputs[0].shape == (-1, 1, 64, 151)
    assert loaded.input_example.shape == (2, 1, 64, 151)
    mel = np.random.default_rng(0).normal(size=(3, 1, 64, 151)).astype(np.float32)
    with torch.inference_mode():
        said = seeded_student(CONFIG).eval()(torch.from_numpy(mel)).numpy()
    assert loaded.predict(mel) == pytest.approx(said, abs=1e-5)


def test_a_winner_that_is_logged_again_is_the_same_version_of_the_same_model(home, winner, log):
    for _ in range(2):
        log(winner)
    client = MlflowClient(home.tracking_uri)
    assert len(client.search_model_versions("name = 'tiny_conv'")) == 1
    assert len(client.search_logged_models([client.get_experiment_by_name("first").experiment_id])) == 1


@pytest.mark.parametrize(
    ("sweep", "changes", "expected"),
    [
        ("first", {"score": 0.9}, ("first", "0.9")),
        ("second", {"score": 0.9}, ("second", "0.9")),
        ("second", {"score": 0.8}, ("first", "0.8")),  # a tie
        ("second", {"score": 0.7}, ("first", "0.8")),
        ("second", {"score": 0.9, "measured_by": {"objective": "other", "clips": "c1"}}, ("first", "0.8")),
        ("second", {"score": 0.9, "measured_by": {"clips": "c2"}}, ("first", "0.8")),
    ],
)
def test_the_champion_moves_only_to_what_is_better_by_the_same_measure(home, winner, log, champion, sweep, changes,
                                                                       expected):  # fmt: skip
    log(winner)
    log(replace(winner, sweep=sweep, **changes), number=1)
    assert champion() == expected
    own = MlflowClient(home.tracking_uri).get_model_version_by_alias("tiny_conv", f"sweep-{sweep}")
    assert own.tags["distune.run"] == "tiny_conv-confirm-001"


def test_less_is_better_where_the_objective_is_a_rate_of_errors(winner):
    rate = replace(winner, higher_is_better=False)
    tags = {f"distune.{key}": value for key, value in winner.measured_by.items()} | {"distune.confirmed": "0.9"}
    assert beats(rate, tags) is True and beats(winner, tags) is False
    assert beats(replace(rate, score=0.9), tags) is False and beats(replace(winner, score=0.9), tags) is False
    assert beats(winner, tags | {"distune.clips": "others"}) is None and beats(winner, {}) is None


def test_a_sweeps_own_alias_is_one_that_mlflow_takes():
    assert own_alias("night.2026-v1") == "sweep-night-2026-v1"


@pytest.mark.slow
def test_a_server_that_serves_artifacts_takes_files_and_models_without_a_folder_in_common(
    home, winner, log, tmp_path: Path, monkeypatch
):
    with serving(f"sqlite:///{tmp_path}/server.db", tmp_path / "server") as server:
        log(winner, uri=server.url)
        page = tmp_path / "page.html"
        page.write_text("<html>hello</html>")
        with Tracker.open(server.url, "first", home.artifacts, home.root / "first.spool") as tracker:
            tracker.log_files("tiny_conv", {"plots/history.html": page})
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
        assert mlflow.pyfunc.load_model("models:/tiny_conv@champion").predict(
            np.zeros((1, 1, 64, 151), np.float32)
        ).shape == (1, 2)  # fmt: skip
        client = MlflowClient(server.url)
        (parent,) = client.search_runs([tracker.experiment_id], "attributes.run_name = 'tiny_conv'")
        assert Path(client.download_artifacts(parent.info.run_id, "plots/history.html")).read_text() == page.read_text()
        assert list((tmp_path / "server" / "served").rglob("history.html"))
    assert not list(home.artifacts.iterdir())
