import pytest

from search.insight.comparison import FEWEST_TRIALS, ranked
from search.insight.edges import at_an_edge
from spaces.space import Space
from tests.search.insight.drawn import drawn

SPACE = Space.model_validate(
    {
        "parameters": {
            "distillation.alpha": {"low": 0.1, "high": 0.9, "step": 0.1, "default": 0.5},
            "distillation.temperature": {"low": 1.0, "high": 10.0, "default": 2.0},
            "training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True, "default": 1e-3},
            "augmentation.freq_mask_param": {"low": 0, "high": 20, "default": 8},
        }
    }
)


def edges(objective, n_trials=80):
    found = at_an_edge(ranked(drawn(lambda config: [objective(config)], n_trials, SPACE), maximise=True))
    return [(edge.key, edge.bound, edge.at_high) for edge in found]


@pytest.mark.parametrize(
    ("objective", "edge"),
    [
        (lambda config: config.distillation.alpha, ("distillation.alpha", 0.9, True)),
        (lambda config: -config.distillation.alpha, ("distillation.alpha", 0.1, False)),
        (lambda config: config.training.learning_rate, ("training.learning_rate", 1e-2, True)),
        (lambda config: -config.training.learning_rate, ("training.learning_rate", 1e-4, False)),
        (lambda config: config.augmentation.freq_mask_param, ("augmentation.freq_mask_param", 20, True)),
    ],
)
def test_a_range_whose_end_holds_the_best_trials_is_named_with_that_end(objective, edge):
    assert edges(objective) == [edge]


@pytest.mark.parametrize(
    "objective",
    [
        lambda config: config.distillation.temperature,  # no trial may go over 10
        lambda config: -config.distillation.temperature,  # or under 1
        lambda config: -config.augmentation.freq_mask_param,  # or mask fewer than no bands
        lambda config: -abs(config.distillation.alpha - 0.5),
    ],
)
def test_ends_that_no_trial_may_pass_and_best_values_within_the_range_are_no_edges(objective):
    assert edges(objective) == []


def test_of_few_trials_no_edge_is_told():
    assert edges(lambda config: config.distillation.alpha, FEWEST_TRIALS - 1) == []


def test_ordinals_of_layers_end_where_the_teacher_does():
    space = Space.load("tiny_conv").holding({"distillation.feature_alignment_enabled": True})
    trials = drawn(lambda config: [min(config.distillation.aligned)], 80, space)
    assert at_an_edge(ranked(trials, maximise=True)) == []
