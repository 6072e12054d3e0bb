"""A configuration is paid for once: what would train as an earlier trial did is not trained again."""

import pytest
from optuna.trial import TrialState as OptunaState

from search.propose.view import StudyInSpace
from search.record.results import SweepResults
from search.record.states import TrialState
from spaces.space import Space
from tests.search.searchers import searcher_of

# Three configurations: 0 is the same trial whatever the temperature, which the space forgot to make conditional.
SMALL = Space.model_validate(
    {
        "parameters": {
            "distillation.alpha": {"low": 0.0, "high": 0.5, "step": 0.5, "default": 0.0},
            "distillation.temperature": {"choices": [1.0, 2.0], "default": 2.0},
        },
        "known_points": {"no_distillation": {"distillation.alpha": 0.0}},
    }
)
FACTS = {"corpus": "corpora/1", "head": "head", "teachers": {}, "teacher_metrics": {}}
SAMPLERS = ["tpe", "gp", "qmc"]
N_SKIPS = 30


@pytest.fixture(autouse=True)
def few_skips(monkeypatch):
    """Enough for chance to find all of three configurations."""
    monkeypatch.setattr("search.record.sweep.MOST_SKIPS", N_SKIPS)


def trained(record) -> list[tuple[float, float]]:
    """(alpha, temperature) of every trial that began."""
    configs = [record.config_of("tiny_conv", trial) for trial in record.trials("tiny_conv")]
    return [
        (c.distillation.alpha, c.distillation.temperature) if c.distillation.enabled else (0.0, 0.0) for c in configs
    ]


def skipped(record) -> dict[int, str]:
    trials = record.studies["tiny_conv"].get_trials()
    return {trial.number: trial.user_attrs["skipped"] for trial in trials if "skipped" in trial.user_attrs}


def run_out(record) -> None:
    while record.missing("tiny_conv") and (proposal := record.propose("tiny_conv")):
        record.report("tiny_conv", proposal.number, 1, 0.5)
        record.end("tiny_conv", proposal.number, TrialState.FINISHED)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_small_space_is_trained_whole_and_nothing_twice(recorded, sampler):
    record = recorded.open({"budget.trials": 9, "search.sampler": sampler, "search.startup_trials": 2}, SMALL)
    run_out(record)
    assert sorted(trained(record)) == [(0.0, 0.0), (0.5, 1.0), (0.5, 2.0)]


def test_a_skipped_draw_says_why_and_counts_nowhere(recorded):
    record = recorded.open({"budget.trials": 9}, SMALL)
    run_out(record)
    study = record.studies["tiny_conv"]
    numbers = {trial.number for trial in record.trials("tiny_conv")}
    assert skipped(record) and not numbers & set(skipped(record))
    assert set(skipped(record).values()) <= {f"trains what trial {number} trains" for number in numbers}
    assert len(numbers) == 3 and record.missing("tiny_conv") == 0 and not list(record.left_over())
    states = {study.get_trials()[number].state for number in skipped(record)}
    assert states == {OptunaState.PRUNED}
    seen = StudyInSpace(study, record.distributions["tiny_conv"], number=999).get_trials()
    assert {trial.number for trial in seen} == numbers


def test_a_student_whose_space_is_exhausted_ends_with_fewer_trials_and_says_so(recorded, caplog):
    changes = {"budget.trials": 9}
    record = recorded.open(changes, SMALL)
    run_out(record)
    assert "tiny_conv: 30 draws in a row brought nothing new; its search space is exhausted" in caplog.text
    assert record.missing("tiny_conv") == 0 and record.propose("tiny_conv") is None
    n_draws = len(record.studies["tiny_conv"].get_trials())
    assert len(record.trials("tiny_conv")) == 3 and n_draws >= 3 + N_SKIPS
    recorded.folder.write(record.sweep, FACTS)
    results = SweepResults.read(recorded.folder)
    assert results.exhausted == ("tiny_conv",)
    assert results.n_missing == record.n_missing == 9  # the other student's
    again = recorded.open({"budget.trials": 12}, SMALL)
    assert again.propose("tiny_conv") is None
    assert len(again.studies["tiny_conv"].get_trials()) == n_draws


def test_a_searcher_goes_on_with_other_students_when_one_is_exhausted(recorded):
    record = recorded.open({"students.tiny_conv.trials": 9, "students.mobilenetv3.trials": 2}, SMALL)
    searcher, students = searcher_of(record), []
    for index in range(5):
        students.append(searcher.suggest(f"tune-{index}")["student"])
    assert students.count("tiny_conv") == 3 and students.count("mobilenetv3") == 2
    assert searcher.suggest("tune-5") is None


def test_a_duplicate_of_a_trial_at_work_is_skipped_too(recorded):
    record = recorded.open({"budget.trials": 4}, SMALL)
    while record.propose("tiny_conv"):
        pass
    assert len(record.trials("tiny_conv")) == 3


@pytest.mark.parametrize("noted", [False, True])
def test_a_driver_that_died_over_a_skip_leaves_nothing_to_train(recorded, noted):
    dead = recorded.open({"budget.trials": 3}, SMALL)
    dead.propose("tiny_conv")
    dead.studies["tiny_conv"].enqueue_trial({"distillation.alpha": 0.0, "distillation.temperature": 1.0})
    number = dead._begin("tiny_conv")
    if noted:
        dead.note("tiny_conv", number, "skipped", "trains what trial 0 trains")
    again = recorded.open({"budget.trials": 3}, SMALL)
    assert [left.number for left in again.left_over()] == [0]
    assert skipped(again) == {1: "trains what trial 0 trains"}
    assert again.missing("tiny_conv") == 2


def test_a_known_point_that_a_narrower_space_left_behind_is_not_trained(recorded):
    record = recorded.open()
    record.studies["tiny_conv"].enqueue_trial({"training.learning_rate": 0.5})
    for _ in range(2):
        record.propose("tiny_conv")
    assert record.propose("tiny_conv").number == 3
    assert skipped(record) == {2: "training.learning_rate: beyond the search space as it is now"}
