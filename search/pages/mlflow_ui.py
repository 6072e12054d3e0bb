"""The MLflow UI on a sweep's store: started on loopback unless told otherwise, or found running, and linked to it."""

import importlib.util
import os
import socket
import subprocess
import sys
from contextlib import AbstractContextManager, suppress

from search.pages.page import EVERYWHERE, Page, Showing, is_loopback, serve_page, show_page
from search.tracking.settings import MLFLOW_SETTINGS
from search.tracking.store import absolute_uri, is_server, open_client
from spaces.errors import COMMAND_LINE, Fault, InputError
from spaces.secrets import without_password

TRAINING = "workflowType=machine_learning"
ALLOWED_HOSTS = "MLFLOW_SERVER_ALLOWED_HOSTS"
ADMIN_PASSWORD, SECRET_KEY = "MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY"


def open_ui(tracking_uri: str, experiment_name: str | None, showing: Showing) -> None:
    """Show a sweep in MLflow; returns on Ctrl-C, or at once where a server shows ``tracking_uri`` already.

    Args:
        tracking_uri: the store that the sweep was recorded in.
        experiment_name: the sweep's name, ``None`` for the list of all.
        showing: on another host than loopback it asks for a login where the environment has what MLflow's login needs
            (`ADMIN_PASSWORD` and `SECRET_KEY`).

    Raises:
        InputError: the store cannot be used, holds no such sweep, or host or port cannot be listened on.
        RuntimeError: the UI did not come up; the message ends with what it wrote.
    """
    fragment = _fragment(tracking_uri, experiment_name)

    def links(url: str) -> list[str]:
        return [f"MLflow UI: {url}{fragment}"]

    if is_server(tracking_uri):
        if not is_loopback(showing.host):
            remedy = f"is for a UI started here; this sweep's is that of {without_password(tracking_uri)}"
            raise InputError(Fault(COMMAND_LINE, "--host", showing.host, remedy))
        showing.tell(links(without_password(tracking_uri.rstrip("/"))))
    else:
        login = not is_loopback(showing.host) and _has_login()
        show_page(_page(tracking_uri, login), links, showing)


def serve(tracking_uri: str, port: int | None = None) -> AbstractContextManager[tuple[str, subprocess.Popen[bytes]]]:
    """An MLflow server on loopback over a database, as ``(url, process)``; stopped at the end, however it comes.

    Raises:
        InputError: the port is taken.
        RuntimeError: it did not come up; the message ends with what it wrote.
    """
    return serve_page(_page(tracking_uri), port)


def _has_login() -> bool:
    """Whether the environment has what MLflow's login needs.

    Raises:
        InputError: it has, and the login itself is not installed.
    """
    if not (os.environ.get(ADMIN_PASSWORD) and os.environ.get(SECRET_KEY)):
        return False
    if importlib.util.find_spec("flask_wtf") is None:
        remedy = 'needs MLflow\'s login: pip install "distune[cluster]"'
        raise InputError(Fault(COMMAND_LINE, ADMIN_PASSWORD, None, remedy))
    return True


def _page(tracking_uri: str, login: bool = False) -> Page:
    uri = absolute_uri(tracking_uri)

    def command(host: str, port: int) -> list[str]:
        server = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]
        if login:
            server += ["--app-name", "basic-auth"]
        if not is_loopback(host) and ALLOWED_HOSTS not in os.environ:
            server += ["--allowed-hosts", ",".join(_names(host, port))]
        return [*server, "--no-serve-artifacts"]

    # In the environment, since a command line with a database's password can be read by all users of the machine. Its
    # job runner is for evaluating language models, and would be three more processes.
    own = {"MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    chosen = {key: value for key, value in MLFLOW_SETTINGS.items() if key not in os.environ}
    open_to = None if login else "read, change and delete"
    return Page("MLflow UI", command, "/health", uri, chosen | own, open_to)


def _names(host: str, port: int) -> list[str]:
    """What MLflow answers to, lest a page elsewhere reaches it by a name of its own: private addresses and our own."""
    from mlflow.server.security_utils import get_default_allowed_hosts  # a second, which loopback needs not

    own = {host, socket.gethostname(), socket.getfqdn()} - {EVERYWHERE}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # sends nothing, and tells by which address we go out
        own.add(str(probe.getsockname()[0]))
    return [*get_default_allowed_hosts(), *sorted(f"{name}:{port}" for name in own)]


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
