"""Servers as teams run them: with a login, and over PostgreSQL."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray
from mlflow.tracking import MlflowClient

from search.home import Home
from search.record.states import TrialState
from search.tracking import writer
from search.tracking.tracker import Tracker
from tests.search.commands import assert_refused
from tests.search.tracking.servers import Server, free_port, serving

pytestmark = pytest.mark.slow

PASSWORD = "a-long-password"
NOBODY = "nobody"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with MLflow's own login."""
    pytest.importorskip("flask_wtf", reason="mlflow[auth] is not installed")
    folder = tmp_path_factory.mktemp("guarded")
    secrets = {"MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD, "MLFLOW_FLASK_SERVER_SECRET_KEY": "of-this-test"}
    store = f"sqlite:///{folder}/server.db"
    with serving(store, folder / "server", "--app-name", "basic-auth", environment=secrets) as server:
        yield server


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch):
    def login(password: str) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)

    return login


def tell(uri: str, home: Home, tmp_path: Path) -> None:
    """A student, a trial of two epochs, a file; what is wrong with the store fails the test."""
    page = tmp_path / "page.html"
    page.write_text("hello")
    with Tracker.open(uri, "first", home.artifacts, home.root / "spool") as tracker:
        tracker.start_student("tiny_conv")
        tracker.start_trial("tiny_conv", 0, {"distillation.alpha": 0.3})
        for epoch in (1, 2):
            tracker.log_epoch("tiny_conv", 0, epoch, {"val_pauc": epoch / 4})
        tracker.end_trial("tiny_conv", 0, TrialState.FINISHED)
        tracker.log_files("tiny_conv", {"page.html": page})
        assert tracker.close() == 0


def assert_told(client: MlflowClient) -> None:
    """Once, however often the sweep was."""
    found = client.search_runs([client.get_experiment_by_name("first").experiment_id])
    runs = {run.info.run_name: run for run in found}
    assert len(found) == 2 and runs["tiny_conv-000"].info.status == "FINISHED"
    points = client.get_metric_history(runs["tiny_conv-000"].info.run_id, "val_pauc")
    assert [(point.step, point.value) for point in points] == [(1, 0.25), (2, 0.5)]
    assert [file.path for file in client.list_artifacts(runs["tiny_conv"].info.run_id)] == ["page.html"]


def test_a_login_is_honoured_from_the_environment_and_in_the_address(guarded, home, tmp_path, login):
    login(PASSWORD)
    tell(guarded.url, home, tmp_path)
    assert_told(MlflowClient(guarded.url))
    login("to-be-replaced")
    tell(guarded.url.replace("://", f"://admin:{PASSWORD}@"), home, tmp_path)
    assert_told(MlflowClient(guarded.url))


@pytest.mark.parametrize("password", ["wrong-password", None])
def test_a_login_that_is_wrong_or_missing_is_refused_in_one_line_before_anything_is_done(
    guarded, run, sweep_file, login, password
):
    if password:
        login(password)
    file = sweep_file("guarded", students={"tiny_conv": {}}, tracking={"uri": guarded.url})
    done = run("sweep", str(file))
    assert_refused(done, "refuses the login")
    assert "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in done.told
    assert not ray.is_initialized() and not list(Path(os.environ["DISTUNE_HOME"], "corpora").iterdir())


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL, which may be stopped as a crash would, and started again."""

    uri: str
    start: Callable[[], object]
    stop: Callable[[], object]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of its own, from the system's packages; it refuses root, for whom it runs as ``nobody``."""
    pytest.importorskip("psycopg2", reason="psycopg2 is not installed")
    found = shutil.which("initdb") or max(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), default=None)
    if found is None:
        pytest.skip("no PostgreSQL is installed; `apt install postgresql` has it")
    # Not under pytest's folder, which is closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="distune-postgres-"))
    as_nobody = {"user": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    if as_nobody:
        shutil.chown(folder, NOBODY)
    binaries, data, port = Path(found).parent, folder / "data", free_port()
    quiet = {"cwd": folder, "check": True, "stdout": subprocess.DEVNULL, **as_nobody}
    control = [binaries / "pg_ctl", "-D", data, "-w", "-t", "240"]
    try:
        subprocess.run([found, "-D", data, "-A", "trust", "-U", "distune", "--no-sync"], **quiet)
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        started = Postgres(
            f"postgresql+psycopg2://distune@127.0.0.1:{port}/postgres",
            lambda: subprocess.run([*control, "-l", folder / "log", "-o", options, "start"], **quiet),
            lambda: subprocess.run([*control, "-m", "immediate", "stop"], **quiet),
        )
        started.start()
        try:
            yield started
        finally:
            started.stop()
    finally:
        shutil.rmtree(folder)


def test_a_server_over_postgresql_is_told_everything_once(postgres, home, tmp_path):
    with serving(postgres.uri, tmp_path / "server") as server:
        for _ in range(2):
            tell(server.url, home, tmp_path)
        assert_told(MlflowClient(server.url))


@pytest.mark.parametrize("behind_a_server", [True, False])
def test_nothing_waits_for_a_postgresql_that_is_away_and_everything_reaches_it_later(
    postgres, home, tmp_path, monkeypatch, caplog, wait_for, behind_a_server
):
    monkeypatch.setattr(writer, "LONGEST_WAIT_SECONDS", 1.0)
    name = f"away-{behind_a_server}"
    with ExitStack() as stack:
        uri = stack.enter_context(serving(postgres.uri, tmp_path / "server")).url if behind_a_server else postgres.uri
        tracker = stack.enter_context(Tracker.open(uri, name, home.artifacts, home.root / "spool"))
        tracker.start_student("tiny_conv")
        tracker.start_trial("tiny_conv", 0, {"distillation.alpha": 0.3})
        postgres.stop()
        for epoch in range(1, 10):
            tracker.log_epoch("tiny_conv", 0, epoch, {"val_pauc": epoch / 10})
        wait_for(lambda: "does not answer" in caplog.text)
        postgres.start()
        tracker.end_trial("tiny_conv", 0, TrialState.FINISHED)
        assert tracker.close() == 0
        client = MlflowClient(uri)
        found = client.search_runs([client.get_experiment_by_name(name).experiment_id])
        runs = {run.info.run_name: run for run in found}
        assert len(found) == 2 and runs["tiny_conv-000"].info.status == "FINISHED"
        points = client.get_metric_history(runs["tiny_conv-000"].info.run_id, "val_pauc")
        assert [(point.step, point.value) for point in points] == [(epoch, epoch / 10) for epoch in range(1, 10)]
