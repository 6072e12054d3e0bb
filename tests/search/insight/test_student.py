from dataclasses import replace

import pytest

from search.confirm.results import Arm, Confirmation
from search.insight.student import insight_of
from search.record.results import SweepResults
from search.record.states import TrialState
from spaces.sections import Objective
from spaces.trial import TrialConfig


def results_of(record, recorded) -> SweepResults:
    recorded.folder.write(record.sweep, {"teacher_metrics": {}})
    return SweepResults.read(recorded.folder)


def test_a_running_sweep_teaches_of_the_trials_that_have_ended(recorded, end_trial):
    record = recorded.open({"budget.trials": 9})
    end_trial(record, "tiny_conv", [0.1, 0.2, 0.3])
    end_trial(record, "tiny_conv", [0.3, 0.4], TrialState.PRUNED)
    record.propose("tiny_conv")
    insight = insight_of(results_of(record, recorded), "tiny_conv")
    assert (insight.compared.epoch, insight.compared.values) == (2, (0.2, 0.4))
    assert (insight.importances, insight.layers) == ((), ())
    assert insight.alpha_temperature.n_without == 1  # the first known point, no distillation
    assert [(one.epoch, one.n_trials) for one in insight.agreements] == [(2, 1)]
    assert [one.n_trials for one in insight.confirmed] == [0]


def test_a_student_whose_trials_are_yet_to_begin_teaches_nothing(recorded):
    insight = insight_of(results_of(recorded.open(), recorded), "tiny_conv")
    assert insight.compared.trials == insight.agreements == insight.alpha_temperature.cells == ()


def test_rungs_are_compared_with_the_means_of_confirmed_trials(recorded, end_trial):
    record = recorded.open({"budget.trials": 9})
    for first in (0.1, 0.2, 0.3, 0.4, 0.45):
        end_trial(record, "tiny_conv", [first, 1 - first])  # by their own ends, the rung is wrong
    end_trial(record, "tiny_conv", [0.05], TrialState.PRUNED)
    arms = tuple(
        Arm(f"trial {number}", "candidate", number, TrialConfig(), {0: {"val_pauc": number / 10}}, {})
        for number in range(5)
    )
    confirmed = {"tiny_conv": Confirmation("tiny_conv", Objective(), arms)}
    insight = insight_of(replace(results_of(record, recorded), confirmed=confirmed), "tiny_conv")
    [by_end], [by_confirming] = insight.agreements, insight.confirmed
    assert by_end.correlation == pytest.approx(-1)
    assert (by_confirming.n_trials, by_confirming.correlation) == (5, pytest.approx(1))
