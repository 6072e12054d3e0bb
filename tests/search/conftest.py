"""A home folder with an MLflow database in it, migrated once for all tests, and what that database holds."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from search.home import Home, open_home
from search.tracking_store import open_client


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    open_client(f"sqlite:///{database}")
    return database


@pytest.fixture
def home(tmp_path: Path, fresh_database: Path) -> Home:
    opened = open_home(tmp_path / "home")
    shutil.copy(fresh_database, opened.root / "mlflow.db")
    return opened


class Records:
    """The experiment ``first`` as its database has it."""

    def __init__(self, uri: str) -> None:
        self._client = MlflowClient(uri)

    def runs(self) -> dict[str, Run]:
        """Runs by name; a name that two runs share fails the test."""
        found = self._client.search_runs([self._client.get_experiment_by_name("first").experiment_id])
        names = [run.info.run_name for run in found]
        assert len(names) == len(set(names)), f"runs were made twice: {names}"
        return dict(zip(names, found, strict=True))

    def history(self, name: str, metric: str) -> list[tuple[int, float]]:
        """(step, value) of every point."""
        points = self._client.get_metric_history(self.runs()[name].info.run_id, metric)
        return [(point.step, point.value) for point in points]

    def have_metrics(self, name: str) -> bool:
        runs = self.runs()
        return name in runs and bool(runs[name].data.metrics)


@pytest.fixture
def records(home: Home) -> Records:
    return Records(home.tracking_uri)


@pytest.fixture
def wait_for() -> Callable[[Callable[[], bool]], None]:
    """Wait until a condition holds; fails after 30 s."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.05)

    return wait
