"""What `distune submit` refuses before anything is sent, and which sweeps a command by name looks for on a cluster."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import ray
import yaml

from search.cluster.notes import Submission, note, submission_of, submissions
from search.home import open_home
from tests.search.commands import Run, assert_refused
from tests.search.conftest import RecordedSweep

ROOT = Path(__file__).parents[3]


@pytest.fixture
def serving() -> Iterator[Callable[[int, str], str]]:
    """The address of a server that gives one answer."""
    servers: list[ThreadingHTTPServer] = []

    def serve(status: int, text: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                """Nothing."""

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    file = tmp_path / "first.yaml"
    file.write_text(yaml.safe_dump({"data": {"path": "/data/clips"}, "students": {"tiny_conv": {}}}))
    return file


NOBODY = "http://127.0.0.1:9"  # the port of discard, which nothing serves


def test_where_nothing_listens_the_way_to_a_cluster_is_told(run: Run, sweep: Path) -> None:
    done = run("submit", str(sweep), "--address", NOBODY)
    assert_refused(done, f"command line: --address = '{NOBODY}': no cluster answers (nothing listens there); start it")
    assert "ray[default]" in done.told and "ssh -L 8265:127.0.0.1:8265 HEAD" in done.told


def test_what_answers_must_be_a_dashboard(run: Run, sweep: Path, serving: Callable[[int, str], str]) -> None:
    for status, text in ((200, "<html>"), (404, "{}"), (200, "[]")):
        done = run("submit", str(sweep), "--address", serving(status, text))
        assert_refused(done, f"is no dashboard of Ray's (it answers with status {status}); give the head's, port 8265")


def test_another_ray_is_refused_with_both_versions(run: Run, sweep: Path, serving: Callable[[int, str], str]) -> None:
    address = serving(200, json.dumps({"ray_version": "2.9.3", "version": "4"}))
    assert_refused(
        run("submit", str(sweep), "--address", address), f"runs Ray 2.9.3 and this machine {ray.__version__}"
    )


@pytest.mark.parametrize(
    ("address", "remedy"),
    [
        ("ray://head:10001", "is no dashboard's address; write http://HEAD:8265"),
        ("head:6379", "is no dashboard's address"),
        ("http://me:secret@head:8265", "has a password, which every user of this machine could read"),
        ("http://me@head:8265", "has a login in it"),
    ],
)
def test_an_address_of_another_kind_is_refused(address: str, remedy: str, run: Run, sweep: Path) -> None:
    done = run("submit", str(sweep), "--address", address)
    assert_refused(done, remedy)
    assert "secret" not in done.told


def test_all_faults_of_the_file_and_the_missing_address_are_told_together(run: Run, sweep: Path) -> None:
    tree = yaml.safe_load(sweep.read_text())
    sweep.write_text(yaml.safe_dump(tree | {"tracking": {"uri": "http://me:secret@mlflow:5000"}}))
    sweep.chmod(0o600)
    done = run("submit", str(sweep), "--set", "data.path=clips")
    faults = ("data.path = 'clips'", "tracking.uri: has a password in it", "--address: is missing")
    assert_refused(done, *faults)
    assert "secret" not in done.told


def test_a_name_that_is_recorded_here_is_not_submitted(run: Run, sweep: Path, tmp_path: Path) -> None:
    here = RecordedSweep(open_home(tmp_path / "home").sweep("first"))
    here.folder.write(here.open().sweep, {})
    assert_refused(run("submit", str(sweep), "--address", NOBODY), "--name = 'first': is recorded on this machine")


def test_without_the_extra_it_is_named(sweep: Path, tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['aiohttp'] = None\n"
        "from search.cli.main import main\n"
        f"sys.argv = ['distune', 'submit', {str(sweep)!r}, '--address', {NOBODY!r}]\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True,
        env={"DISTUNE_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.startswith("refused: command line: --address: needs aiohttp")
    assert 'pip install "distune[cluster]"' in done.stderr


@pytest.mark.parametrize("command", ["status", "logs", "stop", "resume", "export", "report", "confirm"])
def test_a_submitted_sweep_is_looked_for_where_it_was_submitted(command: str, run: Run, tmp_path: Path) -> None:
    note(open_home(tmp_path / "home"), Submission("first", NOBODY, "distune-first-1", 0.0))
    assert_refused(run(command, "first"), f"--address = '{NOBODY}': no cluster answers")


def test_an_address_is_asked_for_any_sweep_and_none_for_one_recorded_here(run: Run, tmp_path: Path) -> None:
    assert_refused(run("logs", "another", "--address", NOBODY), f"'{NOBODY}': no cluster answers")
    assert_refused(run("list", "--address", NOBODY), f"'{NOBODY}': no cluster answers")
    here = RecordedSweep(open_home(tmp_path / "home").sweep("first"))
    here.folder.write(here.open().sweep, {})
    here.folder.log.write_text("one\n")
    note(open_home(tmp_path / "home"), Submission("first", NOBODY, "distune-first-1", 0.0))
    assert run("logs", "first")[:2] == (0, "one\n")


def test_what_cannot_be_written_or_read_here_is_refused_first(run: Run, tmp_path: Path) -> None:
    note(open_home(tmp_path / "home"), Submission("first", NOBODY, "distune-first-1", 0.0))
    assert_refused(run("export", "first", "-o", str(tmp_path / "no" / "x.yaml")), "cannot be written")
    assert_refused(run("export", "first", "--compare", str(tmp_path / "no.yaml")), "no.yaml': cannot be read")


def test_list_tells_where_a_sweep_was_submitted_without_asking(run: Run, tmp_path: Path) -> None:
    note(open_home(tmp_path / "home"), Submission("first", NOBODY, "distune-first-1", 0.0))
    assert f"submitted       -   to {NOBODY}" in run("list").shown
    (line,) = run("list", "--json").shown.splitlines()
    assert (json.loads(line)["state"], json.loads(line)["store"]) == ("submitted", NOBODY)


def test_notes_are_kept_by_name_and_one_that_is_broken_is_none(tmp_path: Path) -> None:
    home = open_home(tmp_path / "home")
    assert list(submissions(home)) == [] and submission_of(home, "b") is None
    for name in ("b", "a"):
        note(home, Submission(name, NOBODY, f"distune-{name}-1", 1.0))
    note(home, Submission("b", NOBODY, "distune-b-2", 2.0))
    (home.root / "submitted" / "c.json").write_text("{")
    assert [(each.name, each.job) for each in submissions(home)] == [("a", "distune-a-1"), ("b", "distune-b-2")]
    assert submission_of(home, "b") == Submission("b", NOBODY, "distune-b-2", 2.0)
