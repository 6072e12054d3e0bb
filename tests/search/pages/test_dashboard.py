"""Optuna's dashboard: what it shows of a record, and that it cannot change it."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from search.pages.dashboard import only_shown, open_dashboard
from search.pages.page import Showing
from spaces.errors import InputError
from tests.search.conftest import RecordedSweep


def answered(url: str, method: str = "GET") -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@contextmanager
def running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


@pytest.mark.slow
def test_each_students_study_is_linked_and_none_can_be_deleted(
    recorded: RecordedSweep, end_trial: Callable[..., Any], tmp_path: Path
):
    record = recorded.open()
    end_trial(record, "tiny_conv", [0.5, 0.75])
    end_trial(record, "mobilenetv3", [0.5])
    script = "import sys; from pathlib import Path; from search.pages.dashboard import Showing, open_dashboard\n" \
             "open_dashboard(Path(sys.argv[1]), Showing(Path(sys.argv[2]), open_browser=False))"  # fmt: skip
    command = [sys.executable, "-u", "-c", script, str(recorded.folder.journal), str(tmp_path / "pages")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    with running(command, environment) as dashboard:
        assert dashboard.stdout.readline() == "The Optuna dashboard runs until Ctrl-C.\n"
        links = dict(dashboard.stdout.readline().strip().split(": ", 1) for _ in recorded.students)
        assert set(links) == {"first/tiny_conv", "first/mobilenetv3"}
        before = recorded.folder.journal.read_bytes()
        url, number = links["first/tiny_conv"].split("/dashboard/studies/")
        status, study = answered(f"{url}/api/studies/{number}")
        assert status == 200
        assert [trial["values"] for trial in study["trials"] if trial["state"] == "Complete"] == [[0.75]]
        assert answered(f"{url}/api/studies/{number}", "DELETE")[0] == 403
        assert answered(f"{url}/api/trials/0/user-attrs", "POST")[0] == 403
        dashboard.send_signal(signal.SIGINT)
        assert dashboard.wait(timeout=120) == 0
    assert recorded.folder.journal.read_bytes() == before


def test_only_what_reads_reaches_the_page():
    def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        return [b"shown"]

    statuses = {}
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        only_shown(page)({"REQUEST_METHOD": method}, lambda status, _, method=method: statuses.update({method: status}))
    reading = {method for method, status in statuses.items() if status == "200 OK"}
    assert reading == {"GET", "HEAD"} and len(statuses) == 6


def test_a_record_without_a_study_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"NAME = 'first': holds no trial yet"):
        open_dashboard(tmp_path / "first" / "study.journal", Showing(tmp_path))
