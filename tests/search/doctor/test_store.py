import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient

from search.doctor import store
from search.doctor.finding import Subject, Verdict
from search.doctor.store import MOST_SKEW_SECONDS, check_store, of_skew
from search.home import Home
from search.pages.mlflow_ui import serve
from spaces.sections import Resources, Teacher
from tests.search.doctor.judged import verdicts

BEHIND_SECONDS = 600


def recorded_in(home: Home, uri: str) -> Subject:
    return Subject(home, uri, Teacher(), Resources())


@pytest.mark.parametrize(
    ("skew", "told"),
    [(0.4, "within 1 s"), (-MOST_SKEW_SECONDS, "within 60 s"), (90, "90 s ahead"), (-600, "600 s behind")],
)
def test_clocks_that_are_a_minute_apart_are_told(skew: float, told: str):
    finding = of_skew(skew)
    assert told in finding.told and verdicts([finding]) == [Verdict.ADVICE if abs(skew) > 60 else Verdict.FINE]


def test_a_database_that_can_be_written_is_fine_and_is_left_as_it_was(home: Home):
    before = MlflowClient(home.tracking_uri).search_experiments(view_type=ViewType.ALL)
    assert verdicts(check_store(recorded_in(home, home.tracking_uri))) == [Verdict.FINE]
    after = MlflowClient(home.tracking_uri).search_experiments(view_type=ViewType.ALL)
    assert [found.name for found in after] == [found.name for found in before]


def test_a_database_that_another_program_holds_is_told(home: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store, "LOCK_SECONDS", 0.1)
    holder = sqlite3.connect(home.root / "mlflow.db")
    holder.execute("BEGIN IMMEDIATE")
    try:
        (finding,) = check_store(recorded_in(home, home.tracking_uri))
    finally:
        holder.rollback()
        holder.close()
    assert finding.verdict is Verdict.MEND and "locked" in finding.told


def test_a_file_that_is_no_database_and_a_server_that_is_away_are_told(home: Home):
    (home.root / "notes.txt").write_text("these are my notes, no database")
    assert verdicts(check_store(recorded_in(home, f"sqlite:///{home.root}/notes.txt"))) == [Verdict.MEND]
    (away,) = check_store(recorded_in(home, "http://user:secret@127.0.0.1:1"))
    assert away.verdict is Verdict.MEND and "start the server" in away.remedy and "secret" not in away.told


@pytest.mark.slow
def test_a_server_is_written_to_and_nothing_is_left_to_be_seen(home: Home):
    with serve(home.tracking_uri) as (url, _):
        for _ in range(2):
            assert verdicts(check_store(recorded_in(home, url))) == [Verdict.FINE] * 2
        assert [found.name for found in MlflowClient(url).search_experiments()] == ["Default"]


class ReadOnly(BaseHTTPRequestHandler):
    """An MLflow server that lets this user look alone, and whose clock is behind."""

    def do_GET(self) -> None:  # named by the standard library
        self._answer(*(200, {}) if self.path == "/health" else (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(*(200, {}) if self.path.endswith("/search") else (403, {"error_code": "PERMISSION_DENIED"}))

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(time.time() - BEHIND_SECONDS, usegmt=True)

    def _answer(self, status: int, content: dict[str, str]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *arguments: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def read_only() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), ReadOnly) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_server_that_takes_no_writes_and_whose_clock_is_behind_is_told(home: Home, read_only: str):
    writing, clock = check_store(recorded_in(home, read_only))
    assert writing.verdict is Verdict.MEND and "can be read, not written" in writing.told
    assert "MLFLOW_TRACKING_USERNAME" in writing.remedy
    assert clock.verdict is Verdict.ADVICE and "behind" in clock.told


def test_a_proxy_on_the_way_to_the_server_is_told(home: Home, read_only: str, monkeypatch: pytest.MonkeyPatch):
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("http_proxy", "http://user:secret@127.0.0.1:1")
    first, *_ = check_store(recorded_in(home, read_only))
    assert (first.what, first.verdict) == ("proxy", Verdict.ADVICE)
    assert "NO_PROXY" in first.remedy and "secret" not in first.told
