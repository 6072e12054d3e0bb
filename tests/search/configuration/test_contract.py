"""The contract with the platform: what every student and space exports is read by a strict loader of its own."""

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import yaml
from optuna.trial import FixedTrial

from search.configuration.forms import exported
from search.export import export_yaml
from search.propose.starts import known_points
from search.record.results import BestTrial, SweepResults
from spaces.errors import InputError
from spaces.platform import PlatformConfig, platform_faults
from spaces.space import SHIPPED_SPACES, Space
from spaces.sweep import SweepConfig
from spaces.trial import TrialConfig, flattened
from tests.search.platform import REQUIRED, SECTIONS, checked, read_strictly
from trainables.students import student_names

FACTS = {
    "corpus": "corpora/c", "head": "h", "teacher_metrics": {},
    "teachers": {"wav2vec2": {"n_layers": 7, "dim": 128, "rms": 0.9}},
}  # fmt: skip
PAIRS = [
    (student, space)
    for student in student_names()
    for space in SHIPPED_SPACES
    if space in (student, "quickstart") or (student, space) == ("tiny_conv", "tiny_conv_widths")
]


def of_a_space(student: str, space: str, seed: int) -> tuple[SweepResults, BestTrial]:
    """A sweep's results, and its best trial: a known point of the space, or a draw."""
    sweep = SweepConfig.model_validate(
        {"name": "first", "data": {"path": "clips"}, "students": {student: {"space": space}}, "search": {"seed": seed}}
    )
    loaded = Space.load(space)
    points = list(known_points(loaded, 7, {}, 0).values())
    drawn = loaded.suggest(FixedTrial(points[seed]) if seed < len(points) else _Drawing(seed), 7)
    config = sweep.trial_config(student, drawn, number=3)
    best = BestTrial(student, 3, config, 0.9, {"val_pauc": np.float64(0.9), "val_f1": np.float32(0.5)}, None)
    return SweepResults(sweep, FACTS, {}, {}), best


class _Drawing:
    """Draws as a sampler does, numpy scalars among the numbers where a caller lets them through."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        steps = int((high - low) / step + 1e-9) if step else 0
        return low + step * self._random.integers(steps + 1) if step else self._random.uniform(low, high)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return int(self._random.integers((high - low) // step + 1)) * step + low

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return choices[int(self._random.integers(len(choices)))]


def test_every_student_has_a_space_that_is_tested_here() -> None:
    assert {student for student, _ in PAIRS} == set(student_names())
    assert {space for _, space in PAIRS} == set(SHIPPED_SPACES)


@pytest.mark.parametrize(("student", "space"), PAIRS)
def test_what_any_trial_of_any_space_exports_is_what_the_platform_loads(student: str, space: str) -> None:
    for seed in range(12):
        results, best = of_a_space(student, space, seed)
        sections = read_strictly(export_yaml(results, best))
        missing = {name: set(keys.split()) - set(sections[name]) for name, keys in REQUIRED.items()}
        assert missing == {name: set() for name in REQUIRED}
        assert sections["model"]["architecture"] == student
        assert checked(json.loads(exported(results, best, "json"))) == sections


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("data: {return_raw_audio: true}", "unexpected key 'return_raw_audio'"),
        ("model: {num_layers: null}", "model.num_layers = None is no"),
        ("distillation:", "distillation = None is no section"),
        ("distillation: {alpha: '0.5'}", "alpha = '0.5' is no"),
        ("training: {learning_rate: 5e-4}", "learning_rate = '5e-4' is no"),
        ("training: {epochs: true}", "epochs = True is no"),
        ("training: {epochs: 3.0}", "epochs = 3.0 is no"),
        # The guide's own spelling, which the platform loads as a string without a word.
        ('distillation: {alignment_layers: "2,4,6"}', "alignment_layers = '2,4,6' is no"),
    ],
)
def test_unknown_keys_nulls_and_wrong_types_fail_the_strict_loader_and_distunes_own(text: str, told: str) -> None:
    with pytest.raises(TypeError, match=re.escape(told)):
        read_strictly(text)
    faults = platform_faults(yaml.safe_load(text), "config.yaml")
    assert len(faults) == 1 and faults[0].key.split(".")[0] in text


@pytest.mark.parametrize("number", [np.float64(0.5), np.float32(0.5), np.int64(1)])
def test_numpy_scalars_fail_the_strict_loader(number: Any) -> None:
    with pytest.raises(TypeError, match="alpha"):
        checked({"distillation": {"alpha": number}})


def test_distunes_schema_of_the_platform_has_the_loaders_keys() -> None:
    ours = {name: set(section) for name, section in PlatformConfig().model_dump().items() if isinstance(section, dict)}
    assert ours == {name: set(keys) for name, keys in SECTIONS.items()}
    defaults = {name: keys for name, keys in PlatformConfig().model_dump().items() if name in SECTIONS}
    defaults["training"].pop("fnr_target")  # none by default
    assert checked(defaults) == defaults


def test_the_defaults_of_distillation_are_those_of_the_contract() -> None:
    found = flattened(PlatformConfig().distillation.model_dump())
    told = {"temperature": 2.0, "alpha": 0.3, "teacher_architecture": "dual", "alignment_layers": [1, 2, 3]}
    assert {key: found[key] for key in told} == told


def test_what_the_platform_would_refuse_is_not_written() -> None:
    """No trial of distune's can be so; a bug could make it."""
    results, best = of_a_space("tiny_conv", "tiny_conv", 0)
    distillation = best.config.distillation.model_copy(update={"enabled": True, "temperature": 11.0})
    wrong = replace(best, config=best.config.model_copy(update={"distillation": distillation}))
    assert isinstance(wrong.config, TrialConfig)
    with pytest.raises(InputError, match=r"trial 3 of tiny_conv: distillation.temperature = 11.0: .* equal to 10"):
        export_yaml(results, wrong)
