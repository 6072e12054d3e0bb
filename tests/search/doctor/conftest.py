"""What an examination is made of in tests."""

from pathlib import Path

import pytest

from search.doctor import cluster
from search.doctor.finding import Subject
from search.home import Home
from spaces.sections import Resources, Teacher


@pytest.fixture
def subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    """A plain sweep's, with no word of Ray in the environment and an empty folder as the user's own."""
    for variable in (cluster.MODE, cluster.TOKEN, cluster.TOKEN_PATH, "RAY_ADDRESS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    home = Home(tmp_path)
    return Subject(home, home.tracking_uri, Teacher(), Resources())
