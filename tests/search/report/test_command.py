"""The command `distune report`: what it writes, where, and what it refuses."""

import pytest

from search.home import SweepFolder
from tests.search.commands import assert_refused
from tests.search.filled import SHORT, fill


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to be in, and a home with the sweep ``hey-sirius``, two trials of three."""
    fill(
        SweepFolder(tmp_path / "home" / "sweeps" / "hey-sirius"),
        SHORT | {"budget.trials": 3, "budget.epochs": 4},
        ("tiny_conv",),
        trials=2,
        confirming_runs=0,
    )
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_page_and_twin_are_written_here_under_the_sweeps_name(run, here):
    done = run("report", "hey-sirius")
    assert (done.status, done.shown) == (0, "report: hey-sirius.html\nas Markdown: hey-sirius.md\n")
    assert {file.name for file in here.iterdir()} == {"hey-sirius.html", "hey-sirius.md"}
    assert (here / "hey-sirius.md").read_text().startswith("# hey-sirius: interrupted\n")


def test_a_page_named_otherwise_has_its_twin_beside_it(run, here):
    assert run("report", "hey-sirius", "-o", "for-ann.v2").status == 0
    assert {file.name for file in here.iterdir()} == {"for-ann.v2", "for-ann.v2.md"}


def test_an_unknown_sweep_and_a_page_that_cannot_be_written_are_refused_together(run, here):
    done = run("report", "lost", "-o", "nowhere/report.html")
    assert_refused(done, "NAME = 'lost': is not recorded here", "cannot be written", "cannot be written")
    assert list(here.iterdir()) == []


def test_a_page_named_as_a_twin_is_refused(run, here):
    assert_refused(
        run("report", "hey-sirius", "-o", "report.md"), "--output = 'report.md': names the page, which is HTML"
    )
