import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from search.doctor.finding import Finding, Subject, Verdict
from search.doctor.teacher import check_teacher, check_voices
from spaces.sections import Resources, Teacher
from tests.search.doctor.judged import verdicts


def found(subject: Subject, **teacher: str) -> list[Finding]:
    return list(check_teacher(Subject(subject.home, subject.tracking_uri, Teacher(**teacher), Resources())))


class Hub(BaseHTTPRequestHandler):
    """A model hub of one public model, one private, and one that is broken."""

    def do_GET(self) -> None:  # named by the standard library
        self.send_response({"here": 200, "private": 401, "broken": 500}.get(self.path.rsplit("/", 1)[1], 404))
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_teacher_that_ships_is_there(subject: Subject):
    (shipped,) = found(subject)
    assert shipped.verdict is Verdict.FINE and "ships with distune" in shipped.told


def test_folders_are_looked_into(subject: Subject, tmp_path: Path):
    assert verdicts(found(subject, model=str(tmp_path))) == [Verdict.MEND]
    (tmp_path / "config.json").write_text("{}")
    assert verdicts(found(subject, model=str(tmp_path))) == [Verdict.FINE]
    assert verdicts(found(subject, model=str(tmp_path / "a" / "b" / "c"))) == [Verdict.MEND]


def test_both_models_of_a_dual_teacher_are_looked_at(subject: Subject, tmp_path: Path):
    dual = found(subject, architecture="dual", secondary_model=str(tmp_path))
    assert verdicts(dual) == [Verdict.FINE, Verdict.MEND]


@pytest.mark.parametrize(
    ("model", "verdict", "told"),
    [
        ("distune-tests/here", Verdict.FINE, "to be downloaded"),
        ("distune-tests/private", Verdict.MEND, "status 401"),
        ("distune-tests/missing", Verdict.MEND, "status 404"),
        ("distune-tests/broken", Verdict.MEND, "status 500"),
    ],
)
def test_a_hub_is_asked_for_a_model(subject: Subject, hub: str, model: str, verdict: Verdict, told: str):
    (finding,) = found(subject, model=model)
    assert verdicts([finding]) == [verdict] and told in finding.told


def test_a_hub_out_of_reach_and_one_that_is_forbidden_are_told(
    subject: Subject, hub: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (forbidden,) = found(subject, model="distune-tests/here")
    assert forbidden.verdict is Verdict.MEND and "HF_HUB_OFFLINE" in forbidden.remedy
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    (away,) = found(subject, model="distune-tests/here")
    assert away.verdict is Verdict.MEND and "cannot be reached" in away.told


def test_espeaks_voices_are_counted():
    (voices,) = check_voices()
    assert voices.verdict is Verdict.FINE and "voices" in voices.told
