import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from mlflow.tracking import MlflowClient

from search.home import Home
from search.pages.mlflow_ui import open_ui, serve
from search.pages.page import Showing
from spaces.errors import InputError

pytestmark = pytest.mark.slow


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def started(home: Home) -> Iterator[subprocess.Popen[str]]:
    """The UI on the sweep ``first``, in a process of its own, which heeds Ctrl-C whatever started the tests."""
    script = "import sys, pathlib, signal; from search.pages.mlflow_ui import Showing, open_ui\n" \
             "signal.signal(signal.SIGINT, signal.default_int_handler)\n" \
             "open_ui(sys.argv[1], 'first', Showing(pathlib.Path(sys.argv[2]), open_browser=False))"  # fmt: skip
    command = [sys.executable, "-u", "-c", script, home.tracking_uri, str(home.root / "pages")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ui:
        try:
            yield ui
        finally:
            ui.terminate()


def told_link(ui: subprocess.Popen[str]) -> str:
    assert ui.stdout.readline() == "The MLflow UI runs until Ctrl-C.\n"
    return ui.stdout.readline().strip().removeprefix("MLflow UI: ")


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, *(pytest.param(other, marks=pytest.mark.long) for other in (signal.SIGTERM, signal.SIGHUP))],
)
def test_the_ui_prints_the_sweeps_link_and_leaves_nothing_behind(home: Home, number: signal.Signals):
    experiment = MlflowClient(home.tracking_uri).create_experiment("first")
    with started(home) as ui:
        url, fragment = told_link(ui).split("/#/")
        assert fragment == f"experiments/{experiment}/runs?workflowType=machine_learning"
        with urllib.request.urlopen(url) as page:
            assert b"<title>MLflow</title>" in page.read()
        servers = psutil.Process(ui.pid).children(recursive=True)
        assert servers
        ui.send_signal(number)
        said = ui.communicate(timeout=120)
    assert (ui.returncode, said) == (0, ("", ""))
    # Workers are killed last, and nobody waits for them to be gone.
    assert psutil.wait_procs(servers, timeout=60)[1] == []
    assert not listens(int(url.rsplit(":", 1)[1]))


def test_a_ui_that_runs_on_the_store_is_found_and_its_link_told(home: Home):
    MlflowClient(home.tracking_uri).create_experiment("first")
    said: list[str] = []
    with started(home) as ui:
        link = told_link(ui)
        open_ui(home.tracking_uri, "first", Showing(home.root / "pages", open_browser=False, say=said.append))
    assert said == [f"MLflow UI: {link}", "The MLflow UI was running already; Ctrl-C ends it where it was started."]


def test_after_a_ui_that_was_killed_another_is_started(home: Home):
    MlflowClient(home.tracking_uri).create_experiment("first")
    with started(home) as killed:
        link = told_link(killed)
        orphans = psutil.Process(killed.pid).children(recursive=True)
        killed.kill()
        killed.wait()
        try:
            with started(home) as ui:
                assert told_link(ui) != link
        finally:
            for orphan in orphans:
                orphan.kill()


def test_an_exception_stops_the_server_too(home: Home, wait_for: Callable[[Callable[[], bool]], None]):
    with pytest.raises(KeyError), serve(home.tracking_uri) as (url, process):
        raise KeyError
    assert process.returncode is not None
    wait_for(lambda: not listens(int(url.rsplit(":", 1)[1])))


def test_artifacts_in_the_home_folder_can_be_read_in_the_ui(home: Home):
    client = MlflowClient(home.tracking_uri)
    run = client.create_run(client.create_experiment("first", (home.artifacts / "first").as_uri()))
    client.log_text(run.info.run_id, "hello", "note.txt")
    with serve(home.tracking_uri) as (url, _):
        address = f"{url}/get-artifact?path=note.txt&run_uuid={run.info.run_id}"
        with urllib.request.urlopen(address) as answer:
            assert answer.read() == b"hello"
    assert (home.artifacts / "first").is_dir()


def test_a_server_is_only_linked_to(home: Home):
    said: list[str] = []
    with serve(home.tracking_uri) as (url, _):
        experiment = MlflowClient(url).create_experiment("first")
        showing = Showing(home.root, open_browser=False, say=said.append)
        open_ui(url, "first", showing)
        open_ui(url + "/", None, showing)
    training = "workflowType=machine_learning"
    assert said == [
        f"MLflow UI: {url}/#/experiments/{experiment}/runs?{training}",
        f"MLflow UI: {url}/#/experiments?{training}",
    ]


def test_a_sweep_that_is_not_recorded_is_refused_with_those_that_are(home: Home):
    MlflowClient(home.tracking_uri).create_experiment("first")
    with pytest.raises(InputError, match=r"'second': is not recorded in .* holds \['first'\]"):
        open_ui(home.tracking_uri, "second", Showing(home.root))


@pytest.mark.parametrize("port", ["taken", 70_000])
def test_a_port_that_cannot_be_had_is_refused(home: Home, port):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        wanted = holder.getsockname()[1] if port == "taken" else port
        with pytest.raises(InputError, match="--port"), serve(home.tracking_uri, wanted):
            pass


def test_a_server_that_does_not_come_up_is_quoted():
    with pytest.raises(RuntimeError, match=r"(?s)ended with status .*nonsense"), serve("nonsense://here"):
        pass
