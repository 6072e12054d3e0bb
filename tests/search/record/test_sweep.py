"""On a real journal file, each ``recorded.open()`` as another process would."""

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState as OptunaState

from search.record.states import TrialState
from search.record.trials import Proposal
from search.run.scheduler import restored_ladders
from spaces.space import Space
from tests.search.conftest import SPACE


def drawn(record, student: str, n: int) -> list[dict]:
    return [record.propose(student).config.flat() for _ in range(n)]


def left_over(record) -> list[Proposal]:
    return list(record.left_over())


def test_known_points_come_first_and_whole(recorded):
    record = recorded.open()
    first, second = (record.propose("tiny_conv") for _ in range(2))
    assert (first.number, second.number) == (0, 1)
    assert not first.config.distillation.enabled
    assert (second.config.distillation.alpha, second.config.distillation.temperature) == (0.7, 2.0)
    for config in (first.config, second.config):
        assert (config.model.architecture, config.training.epochs) == ("tiny_conv", 9)
        assert (config.training.learning_rate, config.training.batch_size) == (1e-3, 16)
    names = [trial.user_attrs["known_point"] for trial in record.trials("tiny_conv")]
    assert names == ["no_distillation", "guide"]


def test_known_points_are_enqueued_once_however_often_the_record_is_opened(recorded):
    for _ in range(3):
        record = recorded.open()
    drawn(record, "tiny_conv", 3)
    names = [trial.user_attrs.get("known_point") for trial in record.trials("tiny_conv")]
    assert names == ["no_distillation", "guide", None]


def test_a_known_point_that_a_dead_driver_did_not_enqueue_is_made_good(recorded):
    storage = JournalStorage(JournalFileBackend(str(recorded.folder.create().journal)))
    study = optuna.create_study(storage=storage, study_name="first/tiny_conv", direction="maximize")
    point = {"distillation.alpha": 0.0, "training.learning_rate": 1e-3}
    study.enqueue_trial(point, user_attrs={"known_point": "no_distillation"})
    record = recorded.open()
    drawn(record, "tiny_conv", 3)
    names = [trial.user_attrs.get("known_point") for trial in record.trials("tiny_conv")]
    assert names == ["no_distillation", "guide", None]


def test_a_trial_left_running_comes_back_with_its_configuration_checkpoint_and_epoch(recorded, tmp_path):
    dead = recorded.open()
    drawn(dead, "tiny_conv", 2)
    proposal = dead.propose("tiny_conv")
    for epoch in (1, 2):
        dead.report("tiny_conv", proposal.number, epoch, 0.1 * epoch)
    dead.note("tiny_conv", proposal.number, "checkpoint", str(tmp_path))
    dead.end("tiny_conv", 0, TrialState.FAILED)
    dead.end("tiny_conv", 1, TrialState.FAILED)
    assert left_over(recorded.open()) == [Proposal("tiny_conv", 2, proposal.config, str(tmp_path), 2)]


def test_a_trial_whose_checkpoint_was_thrown_away_begins_again(recorded, tmp_path):
    dead = recorded.open()
    proposal = dead.propose("tiny_conv")
    dead.report("tiny_conv", 0, 1, 0.1)
    dead.note("tiny_conv", 0, "checkpoint", str(tmp_path / "gone"))
    assert left_over(recorded.open()) == [Proposal("tiny_conv", 0, proposal.config, None, 1)]


def test_a_trial_that_was_left_before_its_configuration_was_noted_draws_it_again(recorded, twin):
    dead, alive = recorded.open(), twin.open()
    drawn(dead, "tiny_conv", 2)
    drawn(alive, "tiny_conv", 2)
    dead.studies["tiny_conv"].ask()
    again = left_over(recorded.open())[-1]
    assert again == alive.propose("tiny_conv")
    assert left_over(recorded.open())[-1] == again


def test_an_epoch_is_recorded_once(recorded):
    record = recorded.open()
    record.propose("tiny_conv")
    record.report("tiny_conv", 0, 1, 0.5)
    record.report("tiny_conv", 0, 2, 0.6)
    record.report("tiny_conv", 0, 1, 0.9)
    assert recorded.open().trials("tiny_conv")[0].intermediate_values == {1: 0.5, 2: 0.6}


@pytest.mark.parametrize(("metric", "expected"), [("val_pauc", 0.8), ("val_eer", 0.2)])
def test_a_finished_trial_is_worth_its_best_report(recorded, end_trial, metric, expected):
    record = recorded.open({"objective.metric": metric})
    end_trial(record, "tiny_conv", [0.5, 0.8, 0.2, 0.4])
    (trial,) = record.trials("tiny_conv")
    assert (trial.state, trial.values) == (OptunaState.COMPLETE, [expected])


@pytest.mark.parametrize(
    ("state", "expected"), [(TrialState.PRUNED, OptunaState.PRUNED), (TrialState.FAILED, OptunaState.FAIL)]
)
def test_a_trial_that_did_not_finish_says_so(recorded, end_trial, state, expected):
    end_trial(recorded.open(), "tiny_conv", [0.5], state)
    (trial,) = recorded.open().trials("tiny_conv")
    assert (trial.state, trial.intermediate_values) == (expected, {1: 0.5})


def test_a_trial_that_failed_before_its_first_report_is_over(recorded, end_trial):
    end_trial(recorded.open(), "tiny_conv", [], TrialState.FAILED)
    assert recorded.open().missing("tiny_conv") == 2


def test_what_is_missing_counts_new_trials_and_those_left_running(recorded, end_trial):
    record = recorded.open()
    end_trial(record, "tiny_conv", [0.5], TrialState.FAILED)
    record.propose("mobilenetv3")
    assert (record.missing("tiny_conv"), record.missing("mobilenetv3"), record.n_missing) == (2, 2, 5)


def test_a_sweep_that_is_extended_keeps_its_trials_and_draws_new_ones(recorded, end_trial):
    record = recorded.open({"budget.trials": 4})
    before = [end_trial(record, "tiny_conv", [0.5]).config for _ in range(4)]
    assert record.missing("tiny_conv") == 0
    extended = recorded.open({"budget.trials": 6})
    assert extended.missing("tiny_conv") == 2
    after = [end_trial(extended, "tiny_conv", [0.5]).config for _ in range(2)]
    kept = [trial.user_attrs["config"] for trial in extended.trials("tiny_conv")]
    assert kept == [config.flat() for config in before + after]
    assert len({config.training.learning_rate for config in before[2:] + after}) == 4


def test_the_same_seed_gives_the_same_trials(recorded, twin, end_trial):
    """Also past the random start, where TPE has modelled the results."""
    changes = {"budget.trials": 6, "search.startup_trials": 3}
    one, other = recorded.open(changes), twin.open(changes)
    for value in (0.1, 0.5, 0.3, 0.2, 0.6, 0.4):
        assert end_trial(one, "tiny_conv", [value]).config == end_trial(other, "tiny_conv", [value]).config


def test_a_sweep_in_several_processes_draws_as_one(recorded, twin, end_trial):
    changes = {"budget.trials": 5, "search.startup_trials": 3}
    one = twin.open(changes)
    for value in (0.1, 0.5, 0.3, 0.2, 0.6):
        piecewise = end_trial(recorded.open(changes), "tiny_conv", [value])
        assert piecewise == end_trial(one, "tiny_conv", [value])


def test_another_seed_gives_other_trials(recorded, twin):
    one, other = recorded.open(), twin.open({"search.seed": 1})
    assert (
        drawn(one, "tiny_conv", 3)[2]["training.learning_rate"]
        != drawn(other, "tiny_conv", 3)[2]["training.learning_rate"]
    )


def test_students_share_a_journal_without_mixing(recorded, end_trial):
    record = recorded.open()
    end_trial(record, "tiny_conv", [0.5, 0.6])
    end_trial(record, "mobilenetv3", [0.7])
    again = recorded.open()
    reports = {student: [trial.intermediate_values for trial in again.trials(student)] for student in again.studies}
    assert reports == {"tiny_conv": [{1: 0.5, 2: 0.6}], "mobilenetv3": [{1: 0.7}]}
    tiny, mobile = (drawn(again, student, 2)[1] for student in again.studies)
    assert (tiny["model.architecture"], mobile["model.architecture"]) == ("tiny_conv", "mobilenetv3")
    assert tiny["training.learning_rate"] != mobile["training.learning_rate"]


def test_trials_of_a_student_differ_in_seed(recorded):
    record = recorded.open({"search.seed": 2})
    assert [config["seed"] for config in drawn(record, "tiny_conv", 4)] == [2000, 2001, 2002, 2003]


def test_ladders_stand_as_the_reports_left_them(recorded, end_trial):
    changes = {"early_stopping.grace_epochs": 2, "early_stopping.reduction_factor": 3}
    record = recorded.open(changes)
    end_trial(record, "tiny_conv", [0.5, 0.6, 0.7, 0.7, 0.7, 0.8])
    end_trial(record, "tiny_conv", [0.4, 0.3], TrialState.PRUNED)
    ladders = restored_ladders(recorded.open(changes))
    assert ladders["tiny_conv"].rungs == [2, 6]
    assert ladders["tiny_conv"].reached == {2: {0: 0.6, 1: 0.3}, 6: {0: 0.8}}
    assert ladders["mobilenetv3"].reached == {}


def test_without_a_scheduler_a_ladder_has_no_rungs(recorded):
    ladders = restored_ladders(recorded.open({"early_stopping.scheduler": "none"}))
    assert [ladder.rungs for ladder in ladders.values()] == [[], []]


@pytest.mark.parametrize(
    ("warmup", "first_rung"),
    [
        ({"fixed": {"optimizer.warmup_epochs": 3}}, 3),
        ({"parameters": {"optimizer.warmup_epochs": {"low": 0, "high": 4, "default": 2}}}, 4),
        ({"fixed": {"optimizer.warmup_epochs": 0}}, 1),
        ({}, 2),  # a trial's default
    ],
)
def test_the_first_rung_is_no_shorter_than_the_longest_warm_up_and_that_is_told(recorded, caplog, warmup, first_rung):
    space = Space.model_validate({key: value | warmup.get(key, {}) for key, value in SPACE.model_dump().items()})
    caplog.set_level("INFO", "search.run.scheduler")
    ladders = restored_ladders(recorded.open({"early_stopping.grace_epochs": 1}, space))
    assert [ladder.rungs[0] for ladder in ladders.values()] == [first_rung, first_rung]
    told = f"first rung at epoch {first_rung} rather than 1, because the learning rate warms up until then"
    messages = [record.getMessage() for record in caplog.records if record.name == "search.run.scheduler"]
    assert messages == ([f"tiny_conv: {told}", f"mobilenetv3: {told}"] if first_rung > 1 else [])


def test_hyperband_spares_some_trials_the_first_rungs(recorded):
    changes = {"early_stopping.grace_epochs": 2, "early_stopping.reduction_factor": 2}
    asha, hyperband = (
        restored_ladders(recorded.open(changes | {"early_stopping.scheduler": scheduler}))["tiny_conv"]
        for scheduler in ("asha", "hyperband")
    )
    assert asha.rungs == hyperband.rungs == [2, 4, 8]
    assert set(asha.spared) == {0}
    # ceil(4 / 4 * 2 ** 3), ceil(4 / 3 * 2 ** 2), ceil(4 / 2 * 2) and 4.
    assert [hyperband.spared.count(n) for n in range(4)] == [8, 6, 4, 4]
