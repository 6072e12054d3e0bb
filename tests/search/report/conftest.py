"""The record of a sweep that is done, shared by the tests of reports."""

import pytest

from search.home import SweepFolder
from search.record.results import SweepResults
from search.report.content import Report, report_of
from tests.search.filled import fill_with_scores


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> SweepFolder:
    return fill_with_scores(SweepFolder(tmp_path_factory.mktemp("report") / "hey-sirius"))


@pytest.fixture(scope="package")
def results(folder: SweepFolder) -> SweepResults:
    return SweepResults.read(folder)


@pytest.fixture(scope="package")
def report(folder: SweepFolder) -> Report:
    return report_of(folder)
