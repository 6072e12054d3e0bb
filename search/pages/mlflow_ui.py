"""The MLflow UI on a sweep's store: started on loopback, or found running, and linked to the sweep."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from search.pages.page import LOOPBACK, Page, serve_page, show, show_page
from search.tracking.settings import MLFLOW_SETTINGS
from search.tracking.store import absolute_uri, is_server, open_client, without_password
from spaces.errors import COMMAND_LINE, Fault, InputError

TRAINING = "workflowType=machine_learning"


def open_ui(
    tracking_uri: str,
    experiment_name: str | None,
    notes: Path,
    port: int | None = None,
    open_browser: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Show a sweep in MLflow; returns on Ctrl-C, or at once where a server shows ``tracking_uri`` already.

    Args:
        tracking_uri: the store that the sweep was recorded in.
        experiment_name: the sweep's name, ``None`` for the list of all.
        notes: folder in which a UI that runs is noted, for the next call to find.
        port: on loopback; ``None`` takes a free one.
        say: where the link goes.

    Raises:
        InputError: the store cannot be used, holds no such sweep, or the port is taken.
        RuntimeError: the UI did not come up; the message ends with what it wrote.
    """
    fragment = _fragment(tracking_uri, experiment_name)

    def links(url: str) -> list[str]:
        return [f"MLflow UI: {url}{fragment}"]

    if is_server(tracking_uri):
        show(links(without_password(tracking_uri.rstrip("/"))), open_browser, say)
    else:
        show_page(_page(tracking_uri), links, notes, port, open_browser, say)


def serve(tracking_uri: str, port: int | None = None) -> AbstractContextManager[tuple[str, subprocess.Popen[bytes]]]:
    """An MLflow server on loopback over a database, as ``(url, process)``; stopped at the end, however it comes.

    Raises:
        InputError: the port is taken.
        RuntimeError: it did not come up; the message ends with what it wrote.
    """
    return serve_page(_page(tracking_uri), port)


def _page(tracking_uri: str) -> Page:
    uri = absolute_uri(tracking_uri)

    def command(port: int) -> list[str]:
        server = [sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(port)]
        return [*server, "--workers", "1", "--no-serve-artifacts"]

    # In the environment, since a command line with a database's password can be read by all users of the machine. Its
    # job runner is for evaluating language models, and would be three more processes.
    own = {"MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    chosen = {key: value for key, value in MLFLOW_SETTINGS.items() if key not in os.environ}
    return Page("MLflow UI", command, "/health", identity=uri, environment=chosen | own)


def _fragment(tracking_uri: str, experiment_name: str | None) -> str:
    """The part of the UI's address that names the experiment, its runs shown as those of models that are trained.

    Left to itself, the UI opens with what belongs to language models, and keeps parent and child runs a click away.
    """
    client = open_client(tracking_uri)
    if experiment_name is None:
        return f"/#/experiments?{TRAINING}"
    experiment = client.get_experiment_by_name(experiment_name)
    if experiment is None:
        known = sorted(found.name for found in client.search_experiments() if found.name != "Default")
        remedy = f"is not recorded in {without_password(tracking_uri)}, which holds {known or 'no sweep'}"
        raise InputError(Fault(COMMAND_LINE, "name", experiment_name, remedy))
    return f"/#/experiments/{experiment.experiment_id}/runs?{TRAINING}"
