"""Whom a page is shown to: this machine alone, unless told otherwise, and then said so."""

import socket
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from search.pages import mlflow_ui
from search.pages.page import EVERYWHERE, LOOPBACK, Page, Showing, is_loopback, serve_page, show_page
from spaces.errors import InputError

# The simplest server there is, and one that ends by itself once it was asked for its end.
SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.server.over = self.path == "/end"

server = HTTPServer((sys.argv[1], int(sys.argv[2])), Handler)
server.over = False
while not server.over:
    server.handle_request()
"""


def page(open_to: str | None = "read") -> Page:
    return Page("Page", lambda host, port: [sys.executable, "-c", SERVER, host, str(port)], "/", "it", open_to=open_to)


def shown(page: Page, notes: Path, host: str) -> list[str]:
    """What is said while the page is served, until it ends."""
    said: list[str] = []

    def links(url: str) -> list[str]:
        threading.Thread(target=lambda: urllib.request.urlopen(f"{url}/end")).start()
        return [f"link: {url}"]

    with pytest.raises(RuntimeError, match="ended by itself with status 0"):
        show_page(page, links, Showing(notes, host=host, open_browser=False, say=said.append))
    return said


def test_on_loopback_nothing_is_warned_of(tmp_path, caplog):
    said = shown(page(), tmp_path, LOOPBACK)
    assert len(said) == 2 and not caplog.records


def test_to_other_machines_it_is_shown_when_told_so_with_a_warning_where_there_is_no_login(tmp_path, caplog):
    said = shown(page(), tmp_path, EVERYWHERE)
    assert said[1].startswith("link: http://127.0.0.1:") and "this one's address" in said[2]
    assert "on 0.0.0.0 asks for no login: whoever reaches this machine can read all" in caplog.text
    assert "ssh -L" in caplog.text
    caplog.clear()
    shown(page(open_to=None), tmp_path, EVERYWHERE)
    assert not caplog.records


def test_what_listens_on_loopback_is_not_reached_by_another_address():
    address = own_address()
    with serve_page(page()) as (url, _):
        assert urllib.request.urlopen(url).status == 200
        with pytest.raises(urllib.error.URLError, match="refused"):
            urllib.request.urlopen(url.replace(LOOPBACK, address), timeout=5)
    with serve_page(page(), host=address) as (url, _):
        assert url.startswith(f"http://{address}:")


def own_address() -> str:
    """An address of this machine that others know it by; no packet is sent for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no network")
        address = str(probe.getsockname()[0])
    return address if not is_loopback(address) else pytest.skip("this machine has no network")


@pytest.mark.parametrize("host", ["198.51.100.7", "no.such.name.invalid", "::"])
def test_an_address_of_another_machine_is_refused(host):
    with pytest.raises(InputError, match=f"--host = '{host}': is no IPv4 address or name of this machine"), \
         serve_page(page(), host=host):  # fmt: skip
        pass


@pytest.mark.parametrize(
    ("host", "alone"), [("127.0.0.1", True), ("127.0.1.1", True), ("localhost", True), ("0.0.0.0", False), ("h", False)]
)
def test_loopback_is_known(host, alone):
    assert is_loopback(host) == alone


def test_mlflow_asks_for_a_login_on_a_network_where_it_is_given_what_that_needs(monkeypatch):
    monkeypatch.delenv(mlflow_ui.ADMIN_PASSWORD, raising=False)
    assert not mlflow_ui._has_login()
    monkeypatch.setenv(mlflow_ui.ADMIN_PASSWORD, "long-enough-1")
    monkeypatch.setenv(mlflow_ui.SECRET_KEY, "key")
    assert mlflow_ui._has_login()
    served = mlflow_ui._page("sqlite:///x.db", login=True)
    command = served.command("203.0.113.5", 5000)
    assert served.open_to is None and command[command.index("--app-name") + 1] == "basic-auth"
    known = command[command.index("--allowed-hosts") + 1].split(",")
    assert {"203.0.113.5:5000", f"{socket.gethostname()}:5000", "192.168.*", "localhost"} <= set(known)
    assert "*" not in known and "0.0.0.0:5000" not in known
    assert mlflow_ui._page("sqlite:///x.db").open_to == "read, change and delete"
    monkeypatch.setattr(mlflow_ui.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'pip install "distune\[cluster\]"'):
        mlflow_ui._has_login()
