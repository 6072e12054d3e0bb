from math import log
from statistics import median

import numpy as np
import pytest

from search.insight.comparison import FEWEST_TRIALS, Comparison, compare
from search.insight.importance import Importance, better_half, importances
from spaces.space import Space
from tests.search.insight.drawn import drawn, reported

ALIGNED, WEIGHT = "distillation.feature_alignment_enabled", "distillation.feature_alignment_weight"
RATE = "training.learning_rate"


def falling_with_the_rate(config):
    return [-log(config.training.learning_rate)]


def of_alignment_alone(config):
    return [1.0 if config.distillation.aligned else 0.0]


def near_weight_one(config):
    return [-abs(log(config.distillation.feature_alignment_weight)) if config.distillation.aligned else -1.7]


def told(found: tuple[Importance, ...]) -> list[str]:
    return [one.key for one in found if one.told_from_chance]


@pytest.fixture(scope="module")
def by_rate() -> Comparison:
    return compare(drawn(falling_with_the_rate, 40), maximise=True)


def test_the_one_parameter_that_matters_is_named_with_its_typical_value_in_either_half(by_rate):
    found = importances(by_rate)
    assert told(found) == [found[0].key] == [RATE]
    assert sum(one.share for one in found) == pytest.approx(1)
    rates = sorted(trial.params[RATE] for trial in by_rate.trials)
    assert (found[0].better, found[0].worse) == (median(rates[:20]), median(rates[20:]))


def test_a_choice_that_matters_is_named_though_all_trials_have_one_of_two_values():
    found = importances(compare(drawn(of_alignment_alone, 40), maximise=True))
    assert told(found) == [ALIGNED]
    assert (found[0].better, found[0].worse) == (True, False)


def test_a_parameter_that_only_some_trials_drew_is_judged_among_those():
    found = importances(compare(drawn(near_weight_one, 40), maximise=True))
    assert found[0].key == WEIGHT and found[0].told_from_chance


@pytest.mark.slow
def test_of_objectives_that_depend_on_nothing_a_parameter_is_named_in_about_one_of_twenty():
    ranges = {RATE: {"low": 1e-4, "high": 1e-2, "log": True, "default": 1e-3}}
    space = Space.model_validate({"parameters": {**ranges, "model.dropout": {"low": 0, "high": 0.3, "default": 0}}})
    luck = np.random.default_rng(0)
    sweeps = [drawn(lambda _: [luck.random()], 20, space, seed) for seed in range(20)]
    named = [bool(told(importances(compare(trials, maximise=True)))) for trials in sweeps]
    assert sum(named) <= 3


def test_of_trials_that_are_few_or_equal_or_drew_nothing_nothing_is_said():
    assert importances(compare(drawn(falling_with_the_rate, FEWEST_TRIALS - 1), maximise=True)) == ()
    assert importances(compare(drawn(lambda _: [0.5], FEWEST_TRIALS), maximise=True)) == ()
    fixed = drawn(lambda config: [config.seed], FEWEST_TRIALS, Space.model_validate({"parameters": {}}))
    assert importances(compare(fixed, maximise=True)) == ()


@pytest.mark.parametrize(
    ("values", "better"),
    [
        ([0.1, 0.4, 0.2, 0.3], [False, True, False, True]),
        ([0.1, 0.1, 0.1, 0.3], [False, False, False, True]),  # equal values stay together
        ([0.1, 0.3, 0.3, 0.3], [False, True, True, True]),
        ([0.2, 0.2, 0.2, 0.2], [False] * 4),
    ],
)
def test_the_better_half_is_as_near_to_a_half_as_equal_values_let_it(values, better):
    trials = [reported(number, [value]) for number, value in enumerate(values)]
    assert better_half(compare(trials, maximise=True)).tolist() == better
    turned = [reported(number, [-value]) for number, value in enumerate(values)]
    assert better_half(compare(turned, maximise=False)).tolist() == better
