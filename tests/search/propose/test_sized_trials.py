"""Trials whose students differ in size: limits on it, size as a second objective, and fronts. On real journals."""

import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState as OptunaState

from search.propose.view import StudyInSpace
from search.record.results import SweepResults
from search.record.states import TrialState
from search.run.pareto_ladder import ParetoLadder
from search.run.scheduler import restored_ladders
from search.screen.front import front_table
from spaces.errors import InputError
from spaces.space import Space
from spaces.sweep import SweepConfig
from tests.search.conftest import SPACE, RecordedSweep
from trainables.size import student_size

WIDTHS = "model.tcn_num_channels"
RANGE = {WIDTHS: {"low": 8, "high": 96, "step": 8, "default": [16, 32, 64, 64]}}
SIZED = Space.model_validate(
    {"parameters": {**SPACE.model_dump()["parameters"], **RANGE}, "known_points": {"shipped": {}}}
)
LIMIT_KB = 64
LIMITED = {"students.tiny_conv.max_flash_kb": LIMIT_KB, "budget.trials": 12, "search.startup_trials": 4}
TWO = {"objective.size": "flash_kb", "budget.trials": 16, "search.startup_trials": 4}


@pytest.fixture
def recorded(recorded) -> RecordedSweep:
    return RecordedSweep(recorded.folder, students=("tiny_conv",))


def open_sized(recorded: RecordedSweep, changes: dict, space: Space = SIZED):
    return recorded.open(changes, space)


def in_study(record) -> list:
    return record.studies["tiny_conv"].get_trials(deepcopy=False)


def results_of(record, facts: dict | None = None) -> SweepResults:
    students = record.sweep.students
    trials = {student: record.trials(student) for student in students}
    return SweepResults(record.sweep, facts or {}, trials, dict.fromkeys(students, 0))


# Limits


def test_every_trial_is_noted_with_its_size(recorded):
    record = open_sized(recorded, {})
    for _ in range(3):
        proposal = record.propose("tiny_conv")
        size = student_size(proposal.config.model)
        noted = record.trials("tiny_conv")[-1].user_attrs["size"]
        assert noted == {"parameters": size.parameters, "macs": size.macs, "flash_kb": size.flash_kb}


def test_draws_over_the_limit_are_skipped_with_the_reason_and_nowhere_counted(recorded, end_trial):
    record = open_sized(recorded, LIMITED)
    while record.missing("tiny_conv"):
        end_trial(record, "tiny_conv", [0.5])
    trained = record.trials("tiny_conv")
    skipped = [trial for trial in in_study(record) if "skipped" in trial.user_attrs]
    assert len(trained) == 12 and len(skipped) > 3
    assert all(trial.user_attrs["size"]["flash_kb"] <= LIMIT_KB for trial in trained)
    for trial in skipped:
        flash_kb = trial.user_attrs["size"]["flash_kb"]
        assert flash_kb > LIMIT_KB and trial.state == OptunaState.PRUNED and "config" not in trial.user_attrs
        assert trial.user_attrs["skipped"] == f"takes {flash_kb:.1f} kB of flash, more than max_flash_kb, {LIMIT_KB}"
    assert len(results_of(record).frame()) == 12


def test_samplers_see_what_was_skipped_as_breaking_the_limit_and_what_was_trained_as_within_it(recorded, end_trial):
    record = open_sized(recorded, LIMITED)
    while record.missing("tiny_conv"):
        end_trial(record, "tiny_conv", [0.5])
    study, distributions = record.studies["tiny_conv"], record.distributions["tiny_conv"]
    seen = StudyInSpace(study, distributions, -1, LIMIT_KB)._get_trials()
    assert len(seen) == len(in_study(record))
    for trial in seen:
        assert trial.constraints == {"max_flash_kb": trial.user_attrs["size"]["flash_kb"] - LIMIT_KB}
        assert (trial.constraints["max_flash_kb"] > 0) == ("skipped" in trial.user_attrs)
    # Under a higher limit, nothing is held against draws that were skipped and tell nothing else.
    seen = StudyInSpace(study, distributions, -1, 1000)._get_trials()
    assert [trial.number for trial in seen] == [trial.number for trial in record.trials("tiny_conv")]


def test_tpe_learns_what_is_too_large(recorded, end_trial):
    """The larger the better, so that nothing but the limit keeps TPE from the largest."""
    changes = LIMITED | {"budget.trials": 20, "students.tiny_conv.max_flash_kb": 40}
    record = open_sized(recorded, changes)
    while record.missing("tiny_conv"):
        proposal = record.propose("tiny_conv")
        value = 0.001 * student_size(proposal.config.model).flash_kb
        record.report("tiny_conv", proposal.number, 1, value)
        record.end("tiny_conv", proposal.number, TrialState.FINISHED)
    sampled = in_study(record)[5:]
    halves = sampled[: len(sampled) // 2], sampled[len(sampled) // 2 :]
    early, late = (sum("skipped" in trial.user_attrs for trial in half) / len(half) for half in halves)
    assert late < early


def test_known_points_that_name_no_widths_are_narrowed_to_the_limit(recorded):
    record = open_sized(recorded, {"students.tiny_conv.max_flash_kb": 18})
    proposal = record.propose("tiny_conv")
    assert proposal.config.model.tcn_num_channels == (8, 16, 32, 32)
    assert record.trials("tiny_conv")[0].user_attrs["known_point"] == "shipped"


def test_a_draw_over_the_limit_that_a_dead_driver_had_begun_is_skipped_when_the_record_opens(recorded):
    record = open_sized(recorded, LIMITED)
    study = record.studies["tiny_conv"]
    wide = {f"{WIDTHS}.block_{block}": 96 for block in (1, 2, 3, 4)} | {"distillation.alpha": 0.0}
    study.enqueue_trial({**wide, "training.learning_rate": 1e-3})
    begun = [study.ask().number for _ in range(2)][-1]
    again = open_sized(recorded, LIMITED)
    assert begun in [trial.number for trial in in_study(again) if "skipped" in trial.user_attrs]
    assert begun not in [proposal.number for proposal in again.left_over()]


def test_a_lower_limit_leaves_trials_that_are_over_it_out_of_the_answer(recorded, end_trial):
    record = open_sized(recorded, {})
    for value in (0.9, 0.5, 0.6):
        end_trial(record, "tiny_conv", [value])
    assert results_of(record).best("tiny_conv").number == 0  # as shipped, 63.6 kB
    sizes = [trial.user_attrs["size"]["flash_kb"] for trial in record.trials("tiny_conv")]
    limit = min(sizes)
    lowered = open_sized(recorded, {"students.tiny_conv.max_flash_kb": limit})
    assert results_of(lowered).best("tiny_conv").number == sizes.index(limit)


def test_a_space_that_the_limit_exhausted_is_drawn_from_again_under_a_higher_one(recorded, monkeypatch):
    monkeypatch.setattr("search.record.sweep.MOST_SKIPS", 5)
    low = {"students.tiny_conv.max_flash_kb": 2.8, "budget.trials": 3}
    record = open_sized(recorded, low)
    record.propose("tiny_conv")  # the known point, as narrow as can be
    assert record.propose("tiny_conv") is None
    assert open_sized(recorded, low).propose("tiny_conv") is None
    assert open_sized(recorded, low | {"students.tiny_conv.max_flash_kb": 1000}).propose("tiny_conv") is not None


# Two objectives


def run_two(record, n: int) -> None:
    """Wider students are better, and a third of all trials is stopped early."""
    for number in range(n):
        proposal = record.propose("tiny_conv")
        quality = 0.5 + 0.001 * student_size(proposal.config.model).flash_kb
        for epoch in (1, 2):
            record.report("tiny_conv", proposal.number, epoch, quality * epoch / 2)
        record.end("tiny_conv", proposal.number, TrialState.PRUNED if number % 3 == 2 else TrialState.FINISHED)


def test_a_finished_trial_is_worth_its_best_report_and_its_size(recorded, end_trial):
    record = open_sized(recorded, TWO)
    end_trial(record, "tiny_conv", [0.5, 0.8, 0.4])
    (trial,) = record.trials("tiny_conv")
    assert record.studies["tiny_conv"].directions == [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]
    assert trial.values == [0.8, trial.user_attrs["size"]["flash_kb"]]


@pytest.mark.parametrize("measure", ["parameters", "macs"])
def test_size_is_what_the_sweep_says(recorded, end_trial, measure):
    record = open_sized(recorded, TWO | {"objective.size": measure})
    end_trial(record, "tiny_conv", [0.5])
    (trial,) = record.trials("tiny_conv")
    assert trial.values == [0.5, trial.user_attrs["size"][measure]]


def test_a_student_of_one_size_is_searched_for_its_quality_alone(recorded, end_trial):
    record = recorded.open(TWO, SPACE)
    end_trial(record, "tiny_conv", [0.5])
    assert record.trials("tiny_conv")[0].values == [0.5]
    assert not record.minimises_size("tiny_conv")


@pytest.mark.parametrize("sampler", ["tpe", pytest.param("gp", marks=pytest.mark.slow), "nsga2", "random", "qmc"])
def test_each_sampler_that_can_proposes_for_two_objectives_also_after_trials_were_pruned(recorded, sampler):
    record = open_sized(recorded, TWO | {"search.sampler": sampler})
    run_two(record, 12)
    states = [trial.state for trial in record.trials("tiny_conv")]
    assert states.count(OptunaState.PRUNED) == 4
    assert len({trial.user_attrs["size"]["flash_kb"] for trial in record.trials("tiny_conv")}) > 6


def test_tpe_proposes_where_hardly_any_trial_finished(recorded):
    """With too few finished ones for its better part, TPE takes the best of those that were pruned."""
    record = open_sized(recorded, TWO)
    for number in range(12):
        proposal = record.propose("tiny_conv")
        record.report("tiny_conv", proposal.number, 1, 0.1 * (number % 5))
        record.end("tiny_conv", proposal.number, TrialState.PRUNED)
    assert record.propose("tiny_conv") is not None


def test_cmaes_is_refused_for_two_objectives():
    tree = {"name": "first", "data": {"path": "clips"}, "students": ["tiny_conv"]}
    sweep = SweepConfig.model_validate(tree | {"objective": {"size": "macs"}})
    with pytest.raises(InputError, match=r"search\.sampler=cmaes optimises one objective alone"):
        sweep.overlaid({"search.sampler": "cmaes"})


def test_a_sweep_that_minimised_no_size_is_another(recorded):
    open_sized(recorded, {})
    with pytest.raises(InputError, match=r"objective\.size: None -> flash_kb"):
        open_sized(recorded, TWO)


def test_a_resumed_sweep_has_the_ladder_of_the_uninterrupted_one(recorded):
    record = open_sized(recorded, TWO | {"budget.epochs": 9, "early_stopping.grace_epochs": 2})
    run_two(record, 6)
    ladder = restored_ladders(record)["tiny_conv"]
    assert isinstance(ladder, ParetoLadder) and set(ladder.reached[2]) == set(range(6))
    sizes = [trial.user_attrs["size"]["flash_kb"] for trial in record.trials("tiny_conv")]
    assert [ladder.size_of(number) for number in range(6)] == sizes


# Fronts


@pytest.fixture
def finished(recorded, end_trial):
    """Four trials: as shipped and the best; half as wide and worse; one larger and worse; one small and pruned."""
    points = {
        "shipped": {},
        "half": {WIDTHS: [8, 16, 32, 32]},
        "large": {WIDTHS: [24, 32, 64, 96]},
        "pruned": {WIDTHS: [8, 8, 8, 8]},
    }
    space = SIZED.model_copy(update={"known_points": points})

    def run(changes: dict):
        record = open_sized(recorded, {"budget.trials": 4, **changes}, space)
        states = [*[TrialState.FINISHED] * 3, TrialState.PRUNED]
        for value, state in zip([0.9, 0.8, 0.85, 0.99], states, strict=True):
            end_trial(record, "tiny_conv", [value], state)
        return record

    return run


@pytest.mark.parametrize("changes", [{}, {"objective.size": "parameters"}])
def test_the_front_holds_finished_trials_worth_their_size_the_smallest_first(finished, changes):
    front = results_of(finished(changes)).front()
    assert [(trial.number, trial.objective) for trial in front] == [(1, 0.8), (0, 0.9)]
    assert [trial.size["parameters"] for trial in front] == [15_290, 60_530]


def test_the_best_is_the_best_by_quality_whatever_its_size(finished):
    results = results_of(finished({"objective.size": "flash_kb"}))
    assert (results.best("tiny_conv").number, results.winner().objective) == (0, 0.9)


def test_where_less_is_better_the_front_holds_the_low(finished):
    """Of 0.9, 0.8 and 0.85 the second is the lowest, and the smallest too."""
    assert [trial.number for trial in results_of(finished({"objective.metric": "val_eer"})).front()] == [1]


def test_the_fronts_table_has_a_row_a_trial_and_the_frame_has_its_size(finished):
    results = results_of(finished({}))
    table = front_table(results)
    rows = list(zip(*(column.cells for column in table.columns), strict=True))
    assert rows == [
        ("tiny_conv", "1", "0.800", "17.2", "15,290", "2,977"),
        ("tiny_conv", "0", "0.900", "63.6", "60,530", "11,557"),
    ]
    assert results.frame()["parameters"].tolist()[:2] == [60_530, 15_290]
