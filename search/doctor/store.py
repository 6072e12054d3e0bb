"""Whether MLflow's store answers, takes what is written to it, and keeps the same time as this machine."""

import email.utils
import getpass
import sqlite3
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing

from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from search.doctor.finding import Finding, Subject, advice, fine, mend
from search.tracking.store import SQLITE_PREFIX, is_server, open_client
from spaces.errors import InputError
from spaces.secrets import without_password

PROBE = "distune-doctor"
ANSWER_SECONDS = 10
MOST_SKEW_SECONDS = 60
LOCK_SECONDS = 5
START = "start the server (`mlflow server --backend-store-uri sqlite:///mlflow.db`), or mend tracking.uri"


def check_store(subject: Subject) -> Iterator[Finding]:
    """Of the sweep's store: reached, written to, and its clock."""
    uri, told = subject.tracking_uri, without_password(subject.tracking_uri)
    if is_server(uri):
        yield from _proxied(uri)
    answer = _answer(uri) if is_server(uri) else None
    try:
        client = open_client(uri)
    except InputError as error:
        # MLflow quotes all it tried; what the server itself says to a plain request is shorter.
        away = f"does not answer ({answer})" if isinstance(answer, str) else error.faults[0].remedy
        yield mend("store", f"{told}: {without_password(away)}", START if is_server(uri) else "name another database")
        return
    refusal = _refusal_of_sqlite(uri) if uri.startswith(SQLITE_PREFIX) else _refusal_of_writing(client)
    if refusal:
        yield mend("store", f"{told} can be read, not written: {refusal}", _remedy_for_writing(uri))
    else:
        yield fine("store", f"{told} answers and can be written")
    if isinstance(answer, float):
        yield of_skew(answer)


def _refusal_of_sqlite(uri: str) -> str | None:
    """Why SQLite takes no writes; nothing is left behind."""
    try:
        with closing(sqlite3.connect(uri.removeprefix(SQLITE_PREFIX), timeout=LOCK_SECONDS)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.rollback()
    except sqlite3.Error as error:
        return str(error)
    return None


def _refusal_of_writing(client: MlflowClient) -> str | None:
    """Why this user cannot write: tried on an experiment of the user's own, which stays deleted between tries."""
    name = f"{PROBE}-{getpass.getuser()}"
    try:
        experiment = client.get_experiment_by_name(name)
        number = _revived(client, experiment) if experiment else client.create_experiment(name)
        client.set_experiment_tag(number, PROBE, str(int(time.time())))
        client.delete_experiment(number)
    except MlflowException as error:
        return without_password(" ".join(str(error).split()))
    return None


def _revived(client: MlflowClient, experiment: Experiment) -> str:
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


def _remedy_for_writing(uri: str) -> str:
    if is_server(uri):
        return "ask for the right to edit, or log in (MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD)"
    return "end the program that holds it, free its disk, or make the file and its folder yours to write"


def _proxied(uri: str) -> Iterator[Finding]:
    """A proxy for the web is rarely the way to a server of one's own."""
    address = urllib.parse.urlsplit(uri)
    proxy = urllib.request.getproxies().get(address.scheme)
    if proxy and address.hostname and not urllib.request.proxy_bypass(address.hostname):
        told = f"requests to {address.hostname} go through the proxy {without_password(proxy)}"
        yield advice("proxy", told, f"unless that is meant, add {address.hostname} to NO_PROXY")


def _answer(uri: str) -> float | str | None:
    """How many seconds the server's clock is before ours, by the date of its answer, which is of whole seconds.

    Returns:
        Why there is no answer where there is none; ``None`` where the answer tells no date.
    """
    address = urllib.parse.urlsplit(uri)
    host = (address.hostname or "") + (f":{address.port}" if address.port else "")
    health = address._replace(netloc=host, path=f"{address.path.rstrip('/')}/health").geturl()
    asked = time.time()
    try:
        with urllib.request.build_opener().open(health, timeout=ANSWER_SECONDS) as answer:
            date = answer.headers.get("Date")
    except urllib.error.HTTPError as error:
        date = error.headers.get("Date")
    except OSError as error:
        return str(getattr(error, "reason", error))
    if date is None:
        return None
    return email.utils.parsedate_to_datetime(date).timestamp() - (asked + time.time()) / 2


def of_skew(skew: float) -> Finding:
    """What to make of the server's clock being ``skew`` seconds before ours."""
    if abs(skew) <= MOST_SKEW_SECONDS:
        return fine("clock", f"within {max(abs(skew), 1):.0f} s of the server's")
    ahead = "ahead of" if skew > 0 else "behind"
    told = f"the server's is {abs(skew):.0f} s {ahead} this machine's, so times in MLflow will not fit together"
    return advice("clock", told, "set both by NTP (`timedatectl set-ntp true`)")
