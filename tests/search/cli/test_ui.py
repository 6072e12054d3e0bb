"""``distune ui``: what it refuses."""

import json
from pathlib import Path

import yaml

from tests.search.commands import Run, assert_refused


def test_optunas_dashboard_wants_a_sweep_and_its_record(run: Run, tmp_path: Path):
    assert_refused(run("ui", "--optuna"), "command line: NAME: is missing: Optuna's dashboard shows one sweep")
    folder = tmp_path / "home" / "sweeps" / "begun"
    folder.mkdir(parents=True)
    content = {"name": "begun", "data": {"path": "clips"}, "students": ["tiny_conv"]}
    (folder / "sweep.yaml").write_text(yaml.safe_dump(content))
    (folder / "shared.json").write_text(json.dumps({}))
    assert_refused(run("ui", "begun", "--optuna"), "command line: NAME = 'begun': holds no trial yet")
    assert_refused(run("ui", "nope", "--optuna"), "command line: NAME = 'nope': is not recorded here")
