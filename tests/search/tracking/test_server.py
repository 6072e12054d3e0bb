"""Tracking against a real MLflow server: one that goes away and comes back, and one whose answer is lost."""

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from mlflow.tracking import MlflowClient

from search.home import Home
from search.pages.mlflow_ui import serve
from search.record.states import TrialState
from search.tracking import writer as tracking_writer
from search.tracking.tracker import Tracker
from tests.search.tracking.servers import free_port

pytestmark = pytest.mark.slow


@contextmanager
def dropping(upstream: str, path_end: str) -> Iterator[str]:
    """A proxy that passes everything on, but hangs up on the first answer to ``path_end``."""
    dropped = threading.Event()

    class Proxy(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = urllib.request.Request(upstream + self.path, body or None, method=self.command)
            request.add_header("Content-Type", "application/json")
            try:
                with urllib.request.urlopen(request) as response:
                    status, answer = response.status, response.read()
            except urllib.error.HTTPError as error:
                status, answer = error.code, error.read()
            if self.path.endswith(path_end) and not dropped.is_set():
                dropped.set()
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = pass_on  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Requests are not news."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        assert dropped.is_set(), f"nothing was asked of {path_end}"


def test_a_server_that_was_away_is_warned_of_once_and_gets_everything(
    home: Home, records, wait_for, monkeypatch, caplog
):
    monkeypatch.setattr(tracking_writer, "ATTEMPTS", 2)
    port = free_port()
    with serve(home.tracking_uri, port) as (url, _):
        tracker = Tracker.open(url, "first", home.artifacts, home.root / "spool")
        tracker.start_trial("tiny_conv", 0, {"seed": 1})
        tracker.log_epoch("tiny_conv", 0, 1, {"val_f1": 0.1})
        wait_for(lambda: "tiny_conv-000" in records.runs())
    tracker.log_epoch("tiny_conv", 0, 2, {"val_f1": 0.2})
    tracker.start_trial("tiny_conv", 1, {"seed": 2})
    wait_for(lambda: "does not answer" in caplog.text)
    tracker.log_epoch("tiny_conv", 0, 3, {"val_f1": 0.3})
    with serve(home.tracking_uri, port):
        tracker.end_trial("tiny_conv", 0, TrialState.FINISHED)
        tracker.end_trial("tiny_conv", 1, TrialState.FAILED, reason="loss is nan")
        assert tracker.close() == 0
    runs = records.runs()
    assert records.history("tiny_conv-000", "val_f1") == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert (runs["tiny_conv-000"].info.status, runs["tiny_conv-001"].info.status) == ("FINISHED", "FAILED")
    assert caplog.text.count("does not answer") == 1 and "answers again" in caplog.text


def test_points_for_a_server_that_stays_away_are_told_in_time_and_kept_for_the_next_driver(home: Home, records, caplog):
    with serve(home.tracking_uri) as (url, _):
        tracker = Tracker.open(url, "first", home.artifacts, home.root / "spool")
    for epoch in (1, 2, 3):
        tracker.log_epoch("tiny_conv", 0, epoch, {"val_f1": 0.1, "val_pauc": 0.2})
    assert tracker.close(timeout=2) == 6
    assert "1 runs with 6 points and files are yet to be written" in caplog.text
    with serve(home.tracking_uri) as (url, _):
        Tracker.open(url, "first", home.artifacts, home.root / "spool").close()
    assert records.history("tiny_conv-000", "val_pauc") == [(1, 0.2), (2, 0.2), (3, 0.2)]
    assert (home.root / "spool").read_text() == ""


@pytest.mark.parametrize("call", ["runs/create", "runs/log-batch"])
def test_an_answer_that_is_lost_makes_no_run_and_no_point_twice(home: Home, records, call: str):
    with serve(home.tracking_uri) as (url, _), dropping(url, call) as leaky:
        with Tracker.open(leaky, "first", home.artifacts, home.root / "spool") as tracker:
            tracker.start_student("tiny_conv")
            tracker.start_trial("tiny_conv", 0, {"seed": 1})
            tracker.log_epoch("tiny_conv", 0, 1, {"val_f1": 0.5})
            tracker.end_trial("tiny_conv", 0, TrialState.FINISHED)
        runs = records.runs()
        assert sorted(runs) == ["tiny_conv", "tiny_conv-000"]
        assert records.history("tiny_conv-000", "val_f1") == [(1, 0.5)]


def test_a_servers_artifacts_lie_where_the_server_keeps_them(home: Home):
    with serve(home.tracking_uri) as (url, _):
        tracker = Tracker.open(url, "first", home.artifacts, home.root / "spool")
        location = MlflowClient(url).get_experiment(tracker.experiment_id).artifact_location
        tracker.close()
    assert str(home.artifacts) not in location
