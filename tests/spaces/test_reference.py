from pathlib import Path

import pytest

from spaces.reference import key_reference, keys
from spaces.sweep import SweepConfig
from spaces.trial import TrialConfig, flattened

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "keys.md"
SCHEMAS = {"sweep": SweepConfig, "trial": TrialConfig}


def test_the_page_is_what_the_schemas_say():
    assert PAGE.read_text(encoding="utf-8") == key_reference(), "run `make keys`"


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_key_has_a_meaning(schema):
    silent = [key for key, field in keys(SCHEMAS[schema]) if not field.description]
    assert silent == []


def test_every_key_of_a_whole_sweep_file_and_trial_has_its_line():
    sweep = SweepConfig.model_validate({"name": "first", "data": {"path": "clips"}, "students": ["tiny_conv"]})
    held = {key.replace("tiny_conv", "STUDENT") for key in flattened(sweep.model_dump(mode="json"))}
    # An empty mapping holds no key of its own.
    assert {"budget.trials", "students.STUDENT.space"} <= held
    for key in {*held, "students.STUDENT.fixed", *TrialConfig().flat()}:
        assert key_reference().count(f"\n| `{key}` |") == 1, key


@pytest.mark.parametrize(
    "line",
    [
        "| `budget.trials` | whole number, from 1 | `16` | trials a student |",
        "| `data.path` | path or URI | needed | a folder, a CSV manifest, or a folder with train.json, val.json, "
        "test.json |",
        "| `data.views.gain_db` | two numbers | `[-6.0, 6.0]` | range of gain, dB |",
        "| `teacher.allow_weak` | `true` or `false` | `false` | go on with a teacher under minimum_f1 |",
        "| `model.dropout` | number, from 0, below 1 | `0.0` | of an activation; in tiny_conv, of a whole channel |",
    ],
)
def test_a_line_tells_value_bounds_default_and_meaning(line):
    assert line in key_reference().splitlines()


def test_the_readme_leads_to_the_page():
    assert "(docs/keys.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
