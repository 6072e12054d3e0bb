from math import log

import pytest

from search.insight.comparison import compare
from search.insight.layers import layer_effects
from search.record.states import TrialState
from spaces.space import LAYERS, Space
from tests.search.insight.drawn import N_LAYERS, drawn, reported


def with_layer_three(config):
    """Layer 3 adds exactly 0.1, and the learning rate its own."""
    return [0.5 + 0.1 * (3 in config.distillation.aligned) - 0.02 * log(config.training.learning_rate)]


def test_a_layer_that_adds_a_tenth_is_told_and_the_others_add_nothing():
    found = layer_effects(compare(drawn(with_layer_three, 80), maximise=True))
    assert [one.layer for one in found] == list(range(N_LAYERS))
    assert {one.layer: one.effect.mean for one in found} == pytest.approx(
        {3: 0.1} | dict.fromkeys((0, 1, 2, 4, 5, 6), 0)
    )


def test_a_layer_is_counted_in_the_trials_that_align_it():
    trials = drawn(with_layer_three, 80)
    [third] = [one for one in layer_effects(compare(trials, maximise=True)) if one.layer == 3]
    configs = [trial.user_attrs["config"] for trial in trials]
    aligned = [config for config in configs if config["distillation.feature_alignment_enabled"]]
    assert third.n_trials == sum(3 in config[LAYERS] for config in aligned) > 5


def test_noise_hides_a_small_effect_and_the_interval_holds_the_truth():
    noisy = drawn(lambda config: [with_layer_three(config)[0] + (config.seed * 37 % 101) / 101], 80)
    [third] = [one for one in layer_effects(compare(noisy, maximise=True)) if one.layer == 3]
    assert not third.effect.told_from_chance
    assert third.effect.low < 0.1 < third.effect.high


def test_of_few_aligned_trials_no_effect_is_told():
    found = layer_effects(compare(drawn(with_layer_three, 12), maximise=True))
    assert found and all(one.effect is None for one in found)


def test_layers_that_are_fixed_for_all_trials_have_no_effect_to_tell():
    space = Space.load("tiny_conv").holding({LAYERS: [2, 4]})
    found = layer_effects(compare(drawn(with_layer_three, 60, space), maximise=True))
    assert [(one.layer, one.effect) for one in found] == [(2, None), (4, None)]


def test_without_an_aligned_trial_there_is_no_layer_to_tell_of():
    trials = [reported(0, [0.5]), reported(1, [0.4], TrialState.PRUNED)]
    assert layer_effects(compare(trials, maximise=True)) == ()
    assert layer_effects(compare([], maximise=True)) == ()
