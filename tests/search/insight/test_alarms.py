from dataclasses import replace

import pytest

from search.confirm.results import Arm, Confirmation
from search.insight.alarms import Alarm, alarms
from search.record.results import SweepResults
from search.record.states import TrialState
from spaces.sections import Objective
from spaces.trial import TrialConfig

TEACHER = {"f1": 0.95, "pauc": 0.99, "eer": 0.01}


@pytest.fixture
def alarms_of(recorded):
    """The alarms of a recorded sweep, by kind, read from its journal."""

    def read(record, teacher=TEACHER) -> dict[str, Alarm]:
        recorded.folder.write(record.sweep, {"teacher_metrics": {"val": teacher}})
        found = alarms(SweepResults.read(recorded.folder))
        assert len({alarm.kind for alarm in found}) == len(found)
        return {alarm.kind: alarm for alarm in found}

    return read


def test_a_sweep_that_is_well_has_no_alarm(recorded, end_trial, alarms_of):
    record = recorded.open()
    end_trial(record, "tiny_conv", [0.5, 0.8], notes={"alignment": [2.0, 0.5]})
    end_trial(record, "tiny_conv", [0.4], TrialState.PRUNED)
    assert alarms_of(record) == {}


def test_a_sweep_before_its_first_trial_has_only_its_teacher_to_judge(recorded, alarms_of):
    assert alarms_of(recorded.open()) == {}
    assert list(alarms_of(recorded.open(), TEACHER | {"f1": 0.79})) == ["weak teacher"]


def test_a_teacher_under_the_gate_that_the_user_insisted_on_concerns_the_whole_sweep(recorded, alarms_of):
    alarm = alarms_of(recorded.open({"teacher.allow_weak": True}), TEACHER | {"f1": 0.7})["weak teacher"]
    assert alarm.student is None
    assert alarm.told.startswith("the teacher's validation F1 is 0.700, under 0.80")
    assert "distune teacher fit" in alarm.remedy


def test_a_student_better_than_its_teacher_is_told_with_both_values(recorded, end_trial, alarms_of):
    record = recorded.open()
    end_trial(record, "mobilenetv3", [0.8])
    end_trial(record, "tiny_conv", [0.7])
    alarm = alarms_of(record, TEACHER | {"pauc": 0.75})["better than its teacher"]
    assert alarm.student == "mobilenetv3"
    assert alarm.told.startswith("its best val_pauc is 0.800, its teacher's 0.750")


def test_on_a_stream_a_student_is_compared_with_no_teacher(recorded, end_trial, alarms_of):
    record = recorded.open({"objective.metric": "val_stream_frr_at_fah", "objective.stream": "hours"})
    end_trial(record, "tiny_conv", [0.05])
    assert alarms_of(record) == {}


def test_where_less_is_better_a_smaller_value_beats_the_teacher(recorded, end_trial, alarms_of):
    record = recorded.open({"objective.metric": "val_eer"})
    end_trial(record, "tiny_conv", [0.05])
    assert alarms_of(record, TEACHER | {"eer": 0.04}) == {}
    assert list(alarms_of(record, TEACHER | {"eer": 0.06})) == ["better than its teacher"]


def test_alignment_that_does_not_lower_its_loss_in_most_of_the_best_aligned_trials(recorded, end_trial, alarms_of):
    record = recorded.open({"budget.trials": 8})
    for value, losses in ((0.9, [2.0, 1.99]), (0.8, [1.0, 1.5]), (0.7, [2.0, 0.5]), (0.2, [2.0, 0.5])):
        end_trial(record, "tiny_conv", [value], notes={"alignment": losses})
    alarm = alarms_of(record)["idle alignment"]
    assert alarm.told.startswith("in 2 of its 3 best aligned trials the alignment loss did not fall (2 to 1.99)")
    for value in (0.95, 0.96):
        end_trial(record, "tiny_conv", [value], notes={"alignment": [2.0, 0.5]})
    assert alarms_of(record) == {}


@pytest.mark.parametrize(
    ("metrics", "words"),
    [({"val_recall": 0.0, "val_fpr": 0.0}, "no wake word"), ({"val_recall": 1.0, "val_fpr": 1.0}, "everything")],
)
def test_a_best_trial_that_accepts_nothing_or_everything(recorded, end_trial, alarms_of, metrics, words):
    record = recorded.open()
    best = {"val_pauc": 0.9, "val_f1": 0.0, "epoch": 1, **metrics}
    end_trial(record, "tiny_conv", [0.9], notes={"best": best})
    end_trial(record, "tiny_conv", [0.8])
    told = alarms_of(record)["collapsed predictions"].told
    assert told.startswith(f"at threshold 0.5, its best trial accepts {words}")


def test_most_trials_that_accept_nothing_are_an_alarm_though_the_best_is_well(recorded, end_trial, alarms_of):
    record = recorded.open({"budget.trials": 8})
    collapsed = {"val_pauc": 0.5, "val_f1": 0.0, "epoch": 1, "val_recall": 0.0, "val_fpr": 0.0}
    end_trial(record, "tiny_conv", [0.9])
    end_trial(record, "tiny_conv", [0.5], notes={"best": collapsed})
    assert alarms_of(record) == {}  # one of two is not most
    end_trial(record, "tiny_conv", [0.5], TrialState.PRUNED, notes={"best": collapsed})
    assert "2 of its 3 trials accept no wake word" in alarms_of(record)["collapsed predictions"].told


def test_many_failures_are_told_with_their_most_frequent_reason(recorded, end_trial, alarms_of):
    record = recorded.open({"budget.trials": 8})
    for reason in ("out of memory", "loss not finite", "loss not finite"):
        end_trial(record, "tiny_conv", [], TrialState.FAILED, {"reason": reason})
    end_trial(record, "tiny_conv", [0.5])
    alarm = alarms_of(record)["many failures"]
    assert alarm.told == "3 of 4 trials failed, 2 of them with: loss not finite."


def test_a_single_failure_is_no_alarm(recorded, end_trial, alarms_of):
    record = recorded.open()
    end_trial(record, "tiny_conv", [], TrialState.FAILED)
    end_trial(record, "tiny_conv", [0.5])
    assert alarms_of(record) == {}


def confirmed(validation: list[float], test: list[float], metric: str = "val_pauc") -> dict[str, Confirmation]:
    """A candidate on as many seeds as there are values."""
    on_test = f"test_{metric.removeprefix('val_')}"
    runs = {seed: {metric: v, on_test: t} for seed, (v, t) in enumerate(zip(validation, test, strict=True))}
    arm = Arm("trial 0", "candidate", 0, TrialConfig(), runs, {})
    return {"tiny_conv": Confirmation("tiny_conv", Objective(metric=metric), (arm,))}


@pytest.mark.parametrize(
    ("test", "kinds"),
    [
        ([0.8, 0.7, 0.75], ["validation far above test"]),  # by 0.1, 0.1 and 0.15
        ([0.86, 0.76, 0.86], []),  # by 0.04
        ([0.6, 0.9, 0.85], []),  # by 0.3, -0.1 and 0.05, which luck does
        ([1.0, 0.9, 1.0], []),
    ],
)
def test_a_confirmed_winner_whose_validation_exceeds_its_test_by_far_and_not_by_luck(recorded, test, kinds):
    recorded.folder.write(recorded.open().sweep, {"teacher_metrics": {"val": TEACHER}})
    results = replace(SweepResults.read(recorded.folder), confirmed=confirmed([0.9, 0.8, 0.9], test))
    assert [alarm.kind for alarm in alarms(results)] == kinds


def test_where_less_is_better_validation_is_far_above_test_when_it_is_far_less(recorded):
    record = recorded.open({"objective.metric": "val_eer"})
    recorded.folder.write(record.sweep, {"teacher_metrics": {"val": TEACHER}})
    found = confirmed([0.1, 0.1, 0.1], [0.2, 0.21, 0.2], "val_eer")
    [alarm] = alarms(replace(SweepResults.read(recorded.folder), confirmed=found))
    assert alarm.told.startswith("its confirmed val_eer is better than its test_eer by 0.103 (0.089 to 0.118)")
