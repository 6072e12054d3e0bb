from math import atanh, sqrt, tanh

import pytest

from search.insight.agreement import agreements, final_values
from search.record.states import TrialState
from tests.search.insight.drawn import reported

ENDS = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95]


def rungs(first: list[float], second: list[float]):
    """Six finished trials with these values at the rungs after epochs 1 and 2, which two others did not pass."""
    finished = [reported(number, list(values)) for number, values in enumerate(zip(first, second, ENDS, strict=True))]
    return [*finished, reported(6, [0.0], TrialState.PRUNED), reported(7, [0.1, 0.1], TrialState.PRUNED)]


def test_a_rung_that_ranks_as_the_end_agrees_fully_and_a_reversed_one_not_at_all():
    trials = rungs([0.1, 0.2, 0.3, 0.31, 0.4, 0.45], [0.4, 0.35, 0.3, 0.2, 0.1, 0.05])
    perfect, reversed_ = agreements(trials, final_values(trials, maximise=True))
    assert (perfect.epoch, perfect.n_trials, perfect.correlation) == (1, 6, pytest.approx(1))
    assert (reversed_.epoch, reversed_.n_trials, reversed_.correlation) == (2, 6, pytest.approx(-1))
    assert 0.3 < perfect.low < perfect.high < 1  # six trials do not prove a perfect order
    assert -1 < reversed_.low < reversed_.high < -0.3


def test_the_interval_is_fishers():
    # Places 1 2 3 4 5 6 against 2 1 4 3 6 5: six differences of 1, so 1 - 6 * 6 / (6 * 35).
    trials = rungs([0.2, 0.1, 0.4, 0.3, 0.45, 0.44], [0.2] * 6)
    swapped, equal = agreements(trials, final_values(trials, maximise=True))
    correlation = 1 - 36 / 210
    half = 1.96 * sqrt((1 + correlation**2 / 2) / 3)
    assert swapped.correlation == pytest.approx(correlation)
    assert swapped.low == pytest.approx(tanh(atanh(correlation) - half))
    assert swapped.high == pytest.approx(tanh(atanh(correlation) + half))
    assert (equal.n_trials, equal.correlation) == (6, None)


def test_four_trials_are_too_few_to_rank():
    trials = [trial for trial in rungs([0.1] * 6, [0.2] * 6) if trial.number > 1]
    assert [(one.n_trials, one.correlation) for one in agreements(trials, final_values(trials, True))] == [
        (4, None)
    ] * 2


def test_only_trials_with_an_end_are_ranked_by_what_it_is_said_to_be():
    trials = rungs(ENDS, ENDS)
    confirmed = {number: -value for number, value in final_values(trials, maximise=True).items() if number > 0}
    assert [(one.n_trials, one.correlation) for one in agreements(trials, confirmed)] == [(5, pytest.approx(-1))] * 2


def test_a_sweep_that_stopped_no_trial_has_no_rungs_to_judge():
    trials = [trial for trial in rungs(ENDS, ENDS) if trial.number < 6]
    assert agreements(trials, final_values(trials, maximise=True)) == ()
