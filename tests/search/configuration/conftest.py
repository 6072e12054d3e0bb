"""A recorded sweep with confirmed winners and their scores, for what is exported of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from search.home import SweepFolder, open_home
from search.record.results import SweepResults
from tests.search.filled import FACTS, SHORT, fill, write_scores

STUDENTS = ("tiny_conv", "mobilenetv3")


@pytest.fixture(scope="module")
def filled_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SweepFolder]:
    """``hey-sirius`` in a home of its own, which ``$DISTUNE_HOME`` names for this module."""
    root = tmp_path_factory.mktemp("home")
    folder = open_home(root).sweep("hey-sirius")
    results = fill(folder, SHORT | {"tracking.uri": "postgresql://me:se/cret@db:5432/runs"}, STUDENTS)
    for found in results.confirmed.values():
        for arm in found.arms:
            for number in arm.numbers.values():
                write_scores(folder.confirmed_run(found.student, number) / "scores.npz", 0.9, seed=number)
    size = {"teacher": {"fingerprint": "t1/h1"}, "clips": {"path": "clips", "fingerprint": "c1", "counts": {}}}
    folder.write(results.sweep, FACTS | size)
    yield folder


@pytest.fixture
def results(filled_folder: SweepFolder) -> SweepResults:
    return SweepResults.read(filled_folder)


@pytest.fixture
def in_its_home(filled_folder: SweepFolder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The commands' home is the recorded sweep's."""
    home = filled_folder.path.parents[1]
    monkeypatch.setenv("DISTUNE_HOME", str(home))
    return home
