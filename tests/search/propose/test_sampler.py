"""What draws trials: every sampler, on a real journal, each ``recorded.open()`` as another process would."""

import logging

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState as OptunaState

from search.propose.draw import Draw, distributions_of
from search.propose.sampler import quantile, sampler_of
from search.propose.view import StudyInSpace
from search.record.states import TrialState
from spaces.sections import Search
from spaces.space import Space

SAMPLERS = ["tpe", pytest.param("gp", marks=pytest.mark.slow), "cmaes", "nsga2", "random", "qmc"]
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
    return {"search.sampler": request.param, "search.startup_trials": 4, "budget.trials": N_TRIALS}


def objective(config) -> float:
    return round(1 / (1 + abs(config.distillation.alpha - 0.5) + 100 * config.training.learning_rate), 6)


def run(record, n: int) -> list[dict]:
    configs = []
    for _ in range(n):
        proposal = record.propose("tiny_conv")
        value = objective(proposal.config)
        record.report("tiny_conv", proposal.number, 1, value)
        record.end("tiny_conv", proposal.number, TrialState.FINISHED)
        configs.append(proposal.config.flat())
    return configs


def test_the_same_seed_gives_the_same_trials_whatever_was_restarted_in_between(recorded, twin, changes):
    one = run(recorded.open(changes, CONDITIONAL), N_TRIALS)
    other = run(twin.open(changes, CONDITIONAL), 3)
    other += run(twin.open(changes, CONDITIONAL), 3)
    other += run(twin.open(changes, CONDITIONAL), N_TRIALS - 6)
    assert one == other
    assert len({config["training.learning_rate"] for config in one}) > 4


def test_another_seed_gives_other_trials(recorded, twin, changes):
    one = run(recorded.open(changes, CONDITIONAL), 2)
    other = run(twin.open(changes | {"search.seed": 1}, CONDITIONAL), 2)
    assert one[1]["training.learning_rate"] != other[1]["training.learning_rate"]


@pytest.mark.parametrize("n_written", [0, 3])
def test_a_draw_that_was_cut_short_is_taken_again_alike(recorded, twin, changes, n_written):
    dead, alive = recorded.open(changes, CONDITIONAL), twin.open(changes, CONDITIONAL)
    assert run(dead, 6) == run(alive, 6)
    draw = dead._draw("tiny_conv", dead._begin("tiny_conv"))
    dead.spaces["tiny_conv"].suggest(draw, 7)
    draw.drawn = dict(list(draw.drawn.items())[:n_written])
    draw.record({})
    assert list(recorded.open(changes, CONDITIONAL).left_over()) == [alive.propose("tiny_conv")]
    assert run(recorded.open(changes, CONDITIONAL), 2) == run(alive, 2)


def test_every_kind_of_parameter_is_drawn_within_its_space(recorded, changes, caplog, recwarn):
    with caplog.at_level(logging.WARNING):
        configs = run(recorded.open(changes | {"budget.trials": 12}, CONDITIONAL), 12)
    assert {config["distillation.feature_alignment_enabled"] for config in configs} == {True, False}
    assert len({config["distillation.temperature"] for config in configs}) > 1
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


def test_on_the_space_it_began_with_a_study_is_seen_as_it_is(recorded):
    record = recorded.open({"budget.trials": 5}, CONDITIONAL)
    run(record, 4)
    record.propose("tiny_conv")
    study = record.studies["tiny_conv"]
    view = StudyInSpace(study, record.distributions["tiny_conv"], number=5)
    assert view.get_trials() == study.get_trials() and view.directions == study.directions
    assert [trial.number for trial in view.get_trials(states=(OptunaState.RUNNING,))] == [4]


def narrowed(**keys) -> Space:
    tree = CONDITIONAL.model_dump()
    for key, changed in keys.items():
        tree["parameters"][key.replace("__", ".")] |= changed
    return Space.model_validate(tree)


def test_a_narrower_space_is_modelled_from_the_trials_within_it(recorded, changes):
    record = recorded.open(changes | {"budget.trials": 16}, CONDITIONAL)
    run(record, 16)
    narrow = narrowed(
        training__learning_rate={"low": 2e-4, "high": 8e-3}, distillation__temperature_scheduler={"choices": ["fixed"]}
    )
    distributions = distributions_of(narrow, 7)
    within = [
        trial.number
        for trial in record.trials("tiny_conv")
        if 2e-4 <= trial.params["training.learning_rate"] <= 8e-3
        and trial.params.get("distillation.temperature_scheduler") != "linear_decay"
    ]
    view = StudyInSpace(record.studies["tiny_conv"], distributions, 16)
    assert 1 < len(within) < 16 and [trial.number for trial in view.get_trials()] == within
    record.spaces, record.distributions = {"tiny_conv": narrow}, {"tiny_conv": distributions}
    drawn = run(record, 2)
    assert all(2e-4 <= config["training.learning_rate"] <= 8e-3 for config in drawn)
    assert {config["distillation.temperature_scheduler"] for config in drawn} == {"fixed"}
    view = StudyInSpace(record.studies["tiny_conv"], distributions, 18)
    assert [trial.number for trial in view.get_trials()] == [*within, 16, 17]


def test_tpe_models_a_narrowed_parameter_jointly_with_the_others(recorded):
    record = recorded.open({"budget.trials": 12, "search.startup_trials": 4}, CONDITIONAL)
    run(record, 12)
    distributions = distributions_of(narrowed(training__learning_rate={"high": 9e-3}), 7)
    jointly = modelled_jointly(record, distributions)
    assert jointly["training.learning_rate"] == FloatDistribution(1e-4, 9e-3, log=True)
    assert {"distillation.alpha", "augmentation.freq_mask_param"} <= set(jointly)


def modelled_jointly(record, distributions) -> dict:
    sampler = sampler_of(record.sweep.search, "tiny_conv", 12, distributions)
    view = StudyInSpace(record.studies["tiny_conv"], distributions, 12)
    return sampler.infer_relative_search_space(view, record.trials("tiny_conv")[-1])


def test_pruned_trials_of_several_objectives_are_no_obstacle(tmp_path):
    """Optuna 5.0's TPE asks such a study for its one direction."""
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "study.journal")))
    study = optuna.create_study(storage=storage, study_name="two", directions=["maximize", "minimize"])
    distributions = distributions_of(CONDITIONAL, 7)
    search = Search(startup_trials=2)
    for number in range(4):
        trial = study.ask()
        draw = Draw(
            StudyInSpace(study, distributions, number), sampler_of(search, "tiny_conv", number, distributions),
            storage.get_trial(trial._trial_id),
        )  # fmt: skip
        CONDITIONAL.suggest(draw, 7)
        draw.record({})
        storage.set_trial_intermediate_value(trial._trial_id, 1, 0.5)
        study.tell(number, state=OptunaState.PRUNED)
    assert len(study.get_trials()) == 4


@pytest.mark.parametrize("group", [False, True])
def test_groups_model_conditional_parameters_jointly(recorded, group):
    changes = {"search.group": group, "search.startup_trials": 4, "budget.trials": 12}
    record = recorded.open(changes, CONDITIONAL)
    run(record, 12)
    jointly = modelled_jointly(record, record.distributions["tiny_conv"])
    conditional = {"distillation.temperature", "distillation.alignment_layers.first"}
    assert conditional <= set(jointly) if group else not conditional & set(jointly)


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
