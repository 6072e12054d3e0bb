"""The contract of every shipped space, and the faults of a user's own."""

import pickle
import re

import optuna
import pydantic
import pytest
import yaml

from spaces.errors import InputError
from spaces.space import SHIPPED_SPACES, Space
from spaces.trial import TrialConfig

N_DRAWS = 50
GUIDE = {"tiny_conv": (0.7, 4.0), "mobilenetv3": (0.6, 3.0), "resnet18": (0.5, 2.5), "quickstart": (0.6, 3.0),
         "tiny_conv_widths": (0.7, 4.0)}  # fmt: skip
ALPHA, ALIGNED = "distillation.alpha", "distillation.feature_alignment_enabled"
LAYERS, WEIGHT = "distillation.alignment_layers", "distillation.feature_alignment_weight"
WIDTHS = "model.tcn_num_channels"
ALPHA_RANGE = {"low": 0.0, "high": 0.9, "step": 0.1, "default": 0.0}


@pytest.fixture(params=SHIPPED_SPACES)
def shipped(request) -> Space:
    return Space.load(request.param)


def study_of(space: Space, n_layers: int, seed: int = 0) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for point in space.enqueued(n_layers).values():
        study.enqueue_trial(point)
    return study


def drawn(space: Space, n_layers: int = 7, seed: int = 0) -> list[tuple[optuna.Trial, dict]]:
    """Known points and then random draws, each trial with the values it took."""
    study = study_of(space, n_layers, seed)
    trials = [study.ask() for _ in range(len(space.known_points) + N_DRAWS)]
    return [(trial, space.suggest(trial, n_layers)) for trial in trials]


def own(**tree) -> Space:
    return Space.model_validate({"parameters": {ALPHA: ALPHA_RANGE}, **tree})


def refusal(parameters, **tree) -> str:
    with pytest.raises(pydantic.ValidationError) as refused:
        Space.model_validate({"parameters": parameters, **tree})
    return str(refused.value)


def test_every_student_of_the_guide_has_a_space_of_its_own():
    assert set(SHIPPED_SPACES) == set(GUIDE)


@pytest.mark.parametrize("n_layers", [4, 7, 13])
def test_every_draw_is_a_valid_trial_whatever_the_teachers_depth(shipped, n_layers):
    for _, values in drawn(shipped, n_layers):
        trial = TrialConfig.from_flat(values)
        assert all(0 <= layer < n_layers for layer in trial.distillation.aligned)


def test_draws_are_those_of_the_seed(shipped):
    def values(seed: int) -> list[dict]:
        return [values for _, values in drawn(shipped, seed=seed)]

    assert values(3) == values(3) != values(4)


def test_a_space_travels_by_the_standard_librarys_pickle(shipped):
    copy = pickle.loads(pickle.dumps(shipped))
    assert copy == shipped
    assert [values for _, values in drawn(copy)] == [values for _, values in drawn(shipped)]


def test_values_are_plain_and_stepped_values_are_round(shipped):
    for _, values in drawn(shipped):
        assert {type(value) for value in values.values()} <= {bool, int, float, str, list}
        assert len(str(values.get(ALPHA, 0.0))) <= 4  # 0.15 and not 0.15000000000000002


@pytest.mark.parametrize("n_layers", [1, 4, 7, 13])
def test_known_points_are_whole_and_drawn_as_they_stand(shipped, n_layers, recwarn):
    study = study_of(shipped, n_layers)
    for name, point in shipped.enqueued(n_layers).items():
        trial = study.ask()
        shipped.suggest(trial, n_layers)
        assert trial.params == point, name
    assert not [warning for warning in recwarn if "out of range" in str(warning.message)]


@pytest.mark.parametrize("name", SHIPPED_SPACES)
def test_the_first_trials_are_no_distillation_the_guides_setting_alignment_alone_and_both(name):
    none, guide, alone, both = (TrialConfig.from_flat(values).distillation for _, values in drawn(Space.load(name))[:4])
    assert not none.enabled
    assert (guide.enabled, guide.alpha, guide.temperature, guide.aligned) == (True, *GUIDE[name], ())
    assert (alone.enabled, alone.alpha, alone.aligned) == (True, 0.0, (2, 4, 6))
    assert (both.alpha, both.temperature, both.aligned) == (*GUIDE[name], (2, 4, 6))


def test_parameters_are_drawn_only_where_they_apply(shipped):
    kinds = set()
    for trial, values in drawn(shipped):
        asked = trial.params
        assert ("distillation.temperature" in asked) == (asked[ALPHA] > 0)
        assert (WEIGHT in asked) == (f"{LAYERS}.count" in asked) == asked[ALIGNED]
        nothing_taught = asked[ALPHA] == 0 and not asked[ALIGNED]
        assert (values.get("distillation.enabled") is False) == nothing_taught
        kinds.add((asked[ALPHA] > 0, asked[ALIGNED]))
    assert len(kinds) == 4


def test_alignment_weights_reach_from_a_hundredth_to_thirty(shipped):
    weights = [values[WEIGHT] for seed in range(4) for _, values in drawn(shipped, seed=seed) if WEIGHT in values]
    # About 100 draws, uniform in the logarithm: a seventh of them falls in each of these ends.
    assert 0.01 <= min(weights) < 0.03 and 10 < max(weights) <= 30


# Holding


def test_a_held_key_is_no_longer_searched_and_every_trial_has_its_value(shipped):
    held = shipped.holding({ALPHA: 0.4, "loss.focal_gamma": 1.0})
    for trial, values in drawn(held):
        assert ALPHA not in trial.params and "distillation.temperature" in trial.params
        assert (values[ALPHA], values["loss.focal_gamma"]) == (0.4, 1.0)


def test_holding_a_condition_removes_what_hangs_on_it(shipped):
    held = shipped.holding({ALIGNED: False})
    for trial, values in drawn(held):
        assert WEIGHT not in trial.params and not TrialConfig.from_flat(values).distillation.aligned


def test_holding_layers_holds_any_subset(shipped):
    held = shipped.holding({ALIGNED: True, LAYERS: [1, 2, 6]})
    assert {TrialConfig.from_flat(values).distillation.aligned for _, values in drawn(held)} == {(1, 2, 6)}


def test_holding_nothing_changes_nothing(shipped):
    assert shipped.holding({}) == shipped


@pytest.mark.parametrize(
    ("fixed", "told"),
    [
        ({"loss.focal_gama": 1}, "loss.focal_gama: no such key of a trial"),
        ({"model.dropout": 1.5}, r"model.dropout = 1.5: Input should be less than 1"),
        ({"training.epochs": 5}, "training.epochs: the sweep decides it; set budget.epochs"),
        ({"model.architecture": "resnet18"}, "model.architecture: the sweep decides it"),
        ({"seed": 5}, "seed: the sweep decides it; set search.seed"),
        ({LAYERS: [2, -1]}, r"alignment_layers = \[2, -1\]"),
    ],
)
def test_a_key_that_cannot_be_held_is_refused(shipped, fixed, told):
    with pytest.raises(pydantic.ValidationError, match=told):
        shipped.holding(fixed)


# A user's own


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"distillation.alfa": ALPHA_RANGE}, "distillation.alfa: no such key of a trial"),
        ({ALPHA: {**ALPHA_RANGE, "high": 1.0}}, "distillation.alpha = 1.0: leaves nothing to the labels"),
        ({"distillation.temperature": {"low": 0.5, "high": 4, "default": 2}}, "temperature = 0.5: .*greater than"),
        ({ALPHA: {**ALPHA_RANGE, "default": 0.95}}, "default 0.95 is not within 0 to 0.9"),
        ({ALPHA: {"low": 0.9, "high": 0.1, "default": 0.5}}, "low 0.9 is above high 0.1; swap them"),
        ({"training.learning_rate": {"low": 0, "high": 0.1, "log": True, "default": 0.01}}, "log range starts above 0"),
        ({"optimizer.weight_decay": {"low": 1, "high": 9, "log": True, "step": 2, "default": 1}}, "has no step"),
        ({"optimizer.optimizer": {"choices": ["adamw", "sdg"], "default": "adamw"}}, "optimizer.optimizer = 'sdg'"),
        ({"optimizer.optimizer": {"choices": ["adamw", "sgd"], "default": "adam"}}, "default 'adam' is none of"),
        ({"optimizer.optimizer": {"choices": [], "default": "adam"}}, "at least 1 item"),
        ({LAYERS: {"max_count": 4, "default": [1, 2, 4]}}, r"default \[1, 2, 4\] is not 1 to 4 ascending layers"),
        ({LAYERS: {"max_count": 2, "default": [1, 2, 3]}}, r"default \[1, 2, 3\] is not 1 to 2 ascending layers"),
        ({WIDTHS: {"low": 8, "high": 32, "default": [8, 64]}}, r"default \[8, 64\] is not 2 widths from 8 to 32"),
        ({WIDTHS: {"low": 8, "high": 32, "default": [8, 12]}}, r"default \[8, 12\] is not .* in steps of 8"),
        ({WIDTHS: {"low": 32, "high": 8, "default": [16]}}, r"default \[16\] is not 1 widths from 32 to 8"),
        ({"training.batch_size": {"low": 8, "high": 32, "default": [8]}}, r"training.batch_size = \(8,\)"),
        ({"model.dropout": {"low": 0, "hi": 0.5, "default": 0.1}}, "Extra inputs"),
        ({"training.epochs": {"low": 5, "high": 50, "default": 10}}, "training.epochs: the sweep decides it"),
        (
            {"distillation.temperature": {"low": 1, "high": 9, "default": 2, "when": {ALPHA: "positive"}}},
            "distillation.temperature: its condition distillation.alpha is not decided before it",
        ),
    ],
)
def test_a_parameter_that_cannot_be_searched_is_refused(parameters, told):
    assert re.search(told, refusal(parameters))


@pytest.mark.parametrize(
    ("point", "told"),
    [
        ({ALPHA: 0.95}, "known_points.mine.distillation.alpha = 0.95: the search cannot draw it"),
        ({"model.dropout": 0.1}, "known_points.mine.model.dropout = 0.1: is neither searched nor fixed"),
        ({"model.drop": 0.1}, "model.drop: no such key of a trial"),
    ],
)
def test_a_known_point_that_cannot_be_run_is_refused(point, told):
    assert told in refusal({ALPHA: ALPHA_RANGE}, known_points={"mine": point})


def test_a_key_both_searched_and_fixed_is_refused():
    assert "both searched and fixed" in refusal({ALPHA: ALPHA_RANGE}, fixed={ALPHA: 0.3})


def test_a_file_is_refused_with_its_name_and_every_fault(tmp_path):
    path = tmp_path / "mine.yaml"
    wrong = {"low": 2.0, "high": 1.0, "default": 1.5}
    parameters = {ALPHA: wrong, LAYERS: {"max_count": 0, "default": [1]}}
    path.write_text(yaml.safe_dump({"parameters": parameters, "fxed": {}}, sort_keys=False))
    with pytest.raises(InputError) as refused:
        Space.load(path)
    assert [(fault.file, fault.key) for fault in refused.value.faults] == [
        (str(path), f"parameters.{ALPHA}"),
        (str(path), f"parameters.{LAYERS}.max_count"),
        (str(path), "fxed"),
    ]


def test_a_name_that_is_no_space_is_refused_with_those_there_are():
    with pytest.raises(InputError, match=r"'tiny_konv': is neither a file nor one of .*tiny_conv"):
        Space.load("tiny_konv")


def test_whole_bounds_give_whole_numbers_and_steps_keep_to_their_grid():
    space = own(
        parameters={
            "training.batch_size": {"low": 16, "high": 64, "step": 16, "default": 32},
            "augmentation.freq_mask_param": {"low": 0, "high": 3, "default": 1},
        }
    )
    trials = [TrialConfig.from_flat(values) for _, values in drawn(space)]
    assert {trial.training.batch_size for trial in trials} == {16, 32, 48, 64}
    assert {trial.augmentation.freq_mask_param for trial in trials} == {0, 1, 2, 3}


def test_widths_are_drawn_block_by_block_on_their_grid():
    space = own(parameters={WIDTHS: {"low": 8, "high": 30, "step": 8, "default": [8, 16, 24]}})
    trials = [TrialConfig.from_flat(values).model.tcn_num_channels for _, values in drawn(space)]
    assert {len(channels) for channels in trials} == {3}
    assert {width for channels in trials for width in channels} == {8, 16, 24}  # 32 is over 30
    assert len(set(trials)) > 20  # of 27


def test_known_points_name_widths_as_a_list_or_take_the_default():
    space = own(
        parameters={WIDTHS: {"low": 8, "high": 96, "default": [16, 32]}},
        known_points={"shipped": {}, "narrow": {WIDTHS: [8, 8]}},
    )
    assert space.enqueued(n_layers=7) == {
        "shipped": {f"{WIDTHS}.block_1": 16, f"{WIDTHS}.block_2": 32},
        "narrow": {f"{WIDTHS}.block_1": 8, f"{WIDTHS}.block_2": 8},
    }


def test_a_space_that_extends_another_has_what_it_has_and_its_own_over_it(tmp_path):
    path = tmp_path / "mine.yaml"
    mine = {ALPHA: ALPHA_RANGE, WIDTHS: {"low": 8, "high": 64, "default": [16, 32, 64, 64]}}
    path.write_text(yaml.safe_dump({"extends": "tiny_conv", "parameters": mine}))
    base, space = Space.load("tiny_conv"), Space.load(path)
    assert list(space.parameters) == [*base.parameters, WIDTHS]
    assert (base.parameters[ALPHA].extremes, space.parameters[ALPHA].extremes) == ((0.0, 0.95), (0.0, 0.9))
    assert (space.fixed, space.known_points) == (base.fixed, base.known_points)


def test_known_points_of_a_space_that_extends_run_in_its_own_order_after_those_it_does_not_name(tmp_path):
    path = tmp_path / "mine.yaml"
    base = Space.load("tiny_conv").known_points
    path.write_text(yaml.safe_dump({"extends": "tiny_conv", "known_points": {"mine": {ALPHA: 0.5}}}))
    assert list(Space.load(path).known_points) == [*base, "mine"]
    mine = {"mine": {ALPHA: 0.5}} | base
    path.write_text(yaml.safe_dump({"extends": "tiny_conv", "known_points": mine}, sort_keys=False))
    assert list(Space.load(path).known_points) == ["mine", *base]


def test_a_space_extends_shipped_ones_only(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"extends": str(path)}))
    with pytest.raises(InputError, match=r"mine.yaml: extends = .*: is no shipped space; extend one of"):
        Space.load(path)
