"""The record of a sweep that is done, shared by the tests of plots."""

import pytest

from search.home import SweepFolder
from search.record.results import SweepResults
from tests.search.filled import SHORT, fill, write_scores


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> SweepFolder:
    """Two students, searched and confirmed; tiny_conv's confirmed winner kept its scores."""
    made = SweepFolder(tmp_path_factory.mktemp("plots") / "hey-sirius")
    winner = fill(made, SHORT, ("tiny_conv", "mobilenetv3")).confirmed["tiny_conv"].winner
    found = SweepResults.read(made).confirmed["tiny_conv"]
    write_scores(made.confirmed_run("tiny_conv", winner.numbers[found.best_seed(winner)]) / "scores.npz", 0.8)
    return made


@pytest.fixture(scope="package")
def results(folder: SweepFolder) -> SweepResults:
    return SweepResults.read(folder)
