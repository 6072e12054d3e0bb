"""What draws trials: every sampler, on a real journal, each ``recorded.open()`` as another process would."""

import logging

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search.sampler import quantile, sampler_of
from search.states import TrialState
from search.view import StudyInSpace, distributions_of
from spaces.space import Space
from spaces.sweep import Search

SAMPLERS = ["tpe", "gp", "cmaes", "nsga2", "random", "qmc"]
N_TRIALS = 9

# A number, a choice, whole numbers, and of each kind one under a condition.
CONDITIONAL = Space.model_validate(
    {
        "parameters": {
            "distillation.alpha": {"low": 0.0, "high": 0.9, "step": 0.1, "default": 0.0},
            "distillation.temperature": {
                "low": 1.0, "high": 10.0, "log": True, "default": 2.0, "when": {"distillation.alpha": "positive"}
            },
            "distillation.temperature_scheduler": {
                "choices": ["fixed", "linear_decay"], "default": "fixed", "when": {"distillation.alpha": "positive"}
            },
            "distillation.feature_alignment_enabled": {"choices": [True, False], "default": False},
            "distillation.alignment_layers": {
                "max_count": 3, "max_stride": 2, "default": [2, 4], "when": {
                    "distillation.feature_alignment_enabled": True
                }
            },
            "training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True, "default": 1e-3},
            "augmentation.freq_mask_param": {"low": 0, "high": 20, "default": 8},
        },
        "known_points": {"no_distillation": {}},
    }
)  # fmt: skip


@pytest.fixture(params=SAMPLERS)
def changes(request) -> dict:
    """A sweep of one sampler, which models from the fifth trial on."""
    if request.param == "cmaes":
        pytest.importorskip("cmaes")
    return {"search.sampler": request.param, "search.startup_trials": 4, "budget.trials": N_TRIALS}


def objective(config) -> float:
    return round(1 / (1 + abs(config.distillation.alpha - 0.5) + 100 * config.training.learning_rate), 6)


def run(record, end_trial, n: int) -> list[dict]:
    configs = []
    for _ in range(n):
        proposal = record.propose("tiny_conv")
        value = objective(proposal.config)
        record.report("tiny_conv", proposal.number, 1, value)
        record.end("tiny_conv", proposal.number, TrialState.FINISHED)
        configs.append(proposal.config.flat())
    return configs


def test_the_same_seed_gives_the_same_trials_whatever_was_restarted_in_between(recorded, twin, end_trial, changes):
    one = run(recorded.open(changes, CONDITIONAL), end_trial, N_TRIALS)
    other = run(twin.open(changes, CONDITIONAL), end_trial, 3)
    other += run(twin.open(changes, CONDITIONAL), end_trial, 3)
    other += run(twin.open(changes, CONDITIONAL), end_trial, N_TRIALS - 6)
    assert one == other
    assert len({config["training.learning_rate"] for config in one}) == N_TRIALS


def test_another_seed_gives_other_trials(recorded, twin, end_trial, changes):
    one = run(recorded.open(changes, CONDITIONAL), end_trial, 2)
    other = run(twin.open(changes | {"search.seed": 1}, CONDITIONAL), end_trial, 2)
    assert one[1]["training.learning_rate"] != other[1]["training.learning_rate"]


def test_a_trial_left_half_drawn_is_drawn_to_its_end_alike(recorded, twin, end_trial, changes):
    dead, alive = recorded.open(changes, CONDITIONAL), twin.open(changes, CONDITIONAL)
    assert run(dead, end_trial, 6) == run(alive, end_trial, 6)
    # As far as propose() gets before it dies.
    distributions = dead.distributions["tiny_conv"]
    sampler = sampler_of(dead.sweep.search, "tiny_conv", 6, distributions)
    trial = StudyInSpace(dead.studies["tiny_conv"], sampler, distributions).ask()
    trial.suggest_float("distillation.alpha", 0.0, 0.9, step=0.1)
    again = recorded.open(changes, CONDITIONAL)
    assert list(again.left_over()) == [alive.propose("tiny_conv")]


def test_every_kind_of_parameter_is_drawn_within_its_space(recorded, end_trial, changes, caplog, recwarn):
    with caplog.at_level(logging.WARNING):
        configs = run(recorded.open(changes | {"budget.trials": 16}, CONDITIONAL), end_trial, 16)
    assert {config["distillation.feature_alignment_enabled"] for config in configs} == {True, False}
    assert len({config["distillation.temperature"] for config in configs}) > 2
    assert len({config["augmentation.freq_mask_param"] for config in configs}) > 3
    # Nothing is said that a user could not act on.
    assert caplog.messages == [] and [str(warning.message) for warning in recwarn] == []


def test_every_seed_of_a_trial_is_in_the_record(recorded, changes):
    record = recorded.open(changes | {"search.seed": 3})
    record.propose("tiny_conv")
    record.propose("tiny_conv")
    first, second = (trial.user_attrs for trial in record.trials("tiny_conv"))
    assert [first["config"]["seed"], second["config"]["seed"]] == [3000, 3001]
    assert first["seeds"]["sweep"] == second["seeds"]["sweep"] == 3
    assert first["seeds"]["sampler"] != second["seeds"]["sampler"]


def test_on_the_space_it_began_with_a_study_is_seen_as_it_is(recorded, end_trial):
    record = recorded.open({"budget.trials": 5}, CONDITIONAL)
    run(record, end_trial, 4)
    record.propose("tiny_conv")
    study = record.studies["tiny_conv"]
    view = StudyInSpace(study, study.sampler, record.distributions["tiny_conv"])
    assert view.get_trials() == study.get_trials() and view.directions == study.directions


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_narrower_space_is_modelled_whole_from_the_trials_within_it(recorded, end_trial, sampler):
    if sampler == "cmaes":
        pytest.importorskip("cmaes")
    search = Search(sampler=sampler, startup_trials=4)
    record = recorded.open({"search.sampler": sampler, "search.startup_trials": 4, "budget.trials": 24}, CONDITIONAL)
    run(record, end_trial, 24)
    tree = CONDITIONAL.model_dump()
    tree["parameters"]["training.learning_rate"] |= {"low": 5e-4, "high": 5e-3}
    tree["parameters"]["distillation.temperature_scheduler"]["choices"] = ["fixed"]
    narrow = distributions_of(Space.model_validate(tree), 7)
    sampler = sampler_of(search, "tiny_conv", 24, narrow)
    view = StudyInSpace(record.studies["tiny_conv"], sampler, narrow)
    seen = view.get_trials()
    within = [
        trial
        for trial in record.trials("tiny_conv")
        if 5e-4 <= trial.params["training.learning_rate"] <= 5e-3
        and trial.params.get("distillation.temperature_scheduler") != "linear_decay"
    ]
    assert 4 <= len(seen) < 24 and [trial.params for trial in seen] == [trial.params for trial in within]
    assert all(trial.distributions["training.learning_rate"] == narrow["training.learning_rate"] for trial in seen)
    trial = view.ask()
    assert 5e-4 <= trial.suggest_float("training.learning_rate", 5e-4, 5e-3, log=True) <= 5e-3


def test_tpe_models_a_parameter_of_a_narrower_space_with_the_others(recorded, end_trial):
    record = recorded.open({"budget.trials": 12, "search.startup_trials": 4}, CONDITIONAL)
    run(record, end_trial, 12)
    tree = CONDITIONAL.model_dump()
    tree["parameters"]["training.learning_rate"]["high"] = 9e-3
    narrow = distributions_of(Space.model_validate(tree), 7)
    sampler = sampler_of(record.sweep.search, "tiny_conv", 12, narrow)
    view = StudyInSpace(record.studies["tiny_conv"], sampler, narrow)
    jointly = sampler.infer_relative_search_space(view, view.ask()._cached_frozen_trial)
    assert {
        "training.learning_rate", "distillation.alpha", "distillation.feature_alignment_enabled",
        "augmentation.freq_mask_param",
    } <= set(jointly)  # fmt: skip


def test_groups_model_conditional_parameters_jointly(recorded, end_trial):
    changes = {"search.group": True, "search.startup_trials": 4, "budget.trials": 12}
    record = recorded.open(changes, CONDITIONAL)
    run(record, end_trial, 12)
    distributions = record.distributions["tiny_conv"]
    sampler = sampler_of(record.sweep.search, "tiny_conv", 12, distributions)
    view = StudyInSpace(record.studies["tiny_conv"], sampler, distributions)
    jointly = sampler.infer_relative_search_space(view, view.ask()._cached_frozen_trial)
    assert {"distillation.temperature", "distillation.alignment_layers.first"} <= set(jointly)


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (FloatDistribution(0, 8), [0, 2, 4, 6]),
        (FloatDistribution(1, 16, log=True), [1, 2, 4, 8]),
        (FloatDistribution(0, 0.75, step=0.25), [0, 0.25, 0.5, 0.75]),
        (IntDistribution(1, 8), [1, 3, 5, 7]),
        (IntDistribution(8, 32, step=8), [8, 16, 24, 32]),
        (CategoricalDistribution(["a", "b"]), ["a", "a", "b", "b"]),
        # From 0.5 to 40.5 in four equal ratios: 0.5, 1.5, 4.5, 13.5.
        (IntDistribution(1, 40, log=True), [1, 2, 4, 14]),
    ],
)
def test_quarters_of_a_distribution(distribution, values):
    found = [quantile(distribution, share) for share in (0, 0.25, 0.5, 0.75)]
    assert found == (values if isinstance(values[0], str) else pytest.approx(values))
