"""optuna-dashboard on a sweep's record, to look at alone: whoever opens the page cannot change or delete a study."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search.pages.page import Page, Showing, show_page
from spaces.errors import COMMAND_LINE, Fault, InputError

READING = {"GET", "HEAD"}
REFUSAL = b'{"reason": "this page only shows the record of a sweep; `distune` alone writes it"}'


def open_dashboard(journal: Path, showing: Showing) -> None:
    """Show a sweep's studies in optuna-dashboard; returns on Ctrl-C, or at once where it is running already.

    Args:
        journal: the sweep's record, which a driver may be writing meanwhile.

    Raises:
        InputError: nothing is recorded yet, or host or port cannot be listened on.
        RuntimeError: it did not come up; the message ends with what it wrote.
    """
    studies = _study_ids(journal)
    if not studies:
        remedy = "holds no trial yet; look again once the first has begun"
        raise InputError(Fault(COMMAND_LINE, "NAME", journal.parent.name, remedy))

    def links(url: str) -> list[str]:
        return [f"{name}: {url}/dashboard/studies/{study_id}" for name, study_id in studies.items()]

    def command(host: str, port: int) -> list[str]:
        return [sys.executable, "-m", "search.pages.dashboard", str(journal.absolute()), host, str(port)]

    # The command runs in an empty folder, and must find this package all the same.
    found = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {"PYTHONPATH": os.pathsep.join(found)}
    identity = str(journal.absolute())
    page = Page("Optuna dashboard", command, "/api/meta", identity, environment, open_to="read")
    show_page(page, links, showing)


def only_shown(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """A WSGI application without what changes its data."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in READING:
            return application(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/json")])
        return [REFUSAL]

    return answer


def _study_ids(journal: Path) -> dict[str, int]:
    """The recorded studies by name, in the order in which they were made."""
    if not journal.exists():
        return {}
    storage = JournalStorage(JournalFileBackend(str(journal)))
    summaries = optuna.get_all_study_summaries(storage, include_best_trial=False)
    ids = {summary.study_name: storage.get_study_id_from_name(summary.study_name) for summary in summaries}
    return dict(sorted(ids.items(), key=lambda item: item[1]))


class _Server(ThreadingMixIn, WSGIServer):
    """Answers several requests at once, as a browser makes them."""

    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        """Nobody reads a line a request."""


def _serve(journal: str, host: str, port: int) -> None:
    from optuna_dashboard import wsgi

    storage = JournalStorage(JournalFileBackend(journal))
    with make_server(host, port, only_shown(wsgi(storage)), _Server, _Silent) as server:
        server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("journal")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    given = parser.parse_args()
    _serve(given.journal, given.host, given.port)
