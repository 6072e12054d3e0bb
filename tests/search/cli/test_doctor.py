"""``distune doctor``: its lines, its JSON, and its status."""

import json
from pathlib import Path

import pytest
import yaml

from tests.search.commands import Run, assert_refused


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    """A sweep whose teacher is missing and whose store is away."""
    file = tmp_path / "sweep.yaml"
    content = {"data": {"path": "clips"}, "students": ["tiny_conv"], "teacher": {"model": "nowhere/at/all"}}
    file.write_text(yaml.safe_dump(content | {"tracking": {"uri": "http://127.0.0.1:1"}}))
    return file


@pytest.mark.slow
def test_what_a_sweep_lacks_is_told_with_remedies_and_status_1(run: Run, sweep_file: Path):
    status, shown, _ = run("doctor", str(sweep_file))
    assert status == 1
    told = shown.splitlines()
    for what in ("store: ", "teacher: "):
        (number,) = [number for number, line in enumerate(told) if line.startswith("mend") and what in line]
        assert told[number + 1].strip().startswith("-> ")
    assert told[-1].startswith("2 of ") and any(line.startswith("fine") for line in told)


@pytest.mark.slow
def test_the_same_as_json_and_status_0_where_nothing_must_be_mended(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    status, shown, _ = run("doctor", "--json")
    findings = [json.loads(line) for line in shown.splitlines()]
    assert status == any(finding["verdict"] == "mend" for finding in findings) == 0
    assert all(set(finding) == {"what", "verdict", "told", "remedy"} for finding in findings)
    looked_at = {finding["what"] for finding in findings}
    assert {"disk", "memory", "ports", "store", "teacher", "Ray", "voices", "python", "packages"} <= looked_at


def test_a_sweep_file_that_is_wrong_is_refused(run: Run, tmp_path: Path):
    file = tmp_path / "sweep.yaml"
    file.write_text("students: [tiny_conv]\nserch: {}")
    assert_refused(run("doctor", str(file)), f"{file}: data", f"{file}: serch")
