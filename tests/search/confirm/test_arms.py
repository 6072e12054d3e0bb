"""Which configurations are confirmed and tuned; SPACE searches alpha and a learning rate of 1e-4 to 1e-2."""

import optuna
import pytest

from search.confirm.arms import (
    Setting,
    baselines_of,
    confirm_seeds,
    learning_rates,
    ranked,
    switched,
    tuning_points,
    tuning_seed,
    with_seed,
)
from search.confirm.results import family_of
from spaces.space import Space
from spaces.trial import Distillation, TrialConfig
from tests.search.conftest import SPACE

ALIGNED = TrialConfig.from_flat(
    {
        "distillation.alpha": 0.0, "distillation.feature_alignment_enabled": True, "training.learning_rate": 2e-3,
        "optimizer.weight_decay": 0.01, "training.early_stopping_patience": 4,
    }
)  # fmt: skip
LOGITS = TrialConfig.from_flat({"distillation.alpha": 0.6, "distillation.temperature": 3.0})
BARE = TrialConfig.from_flat({"distillation.enabled": False, "training.learning_rate": 5e-3})


def settings(*configs: TrialConfig) -> list[Setting]:
    return [Setting(config, number) for number, config in enumerate(configs)]


def rates(points: list[Setting]) -> list[float]:
    return [point.config.training.learning_rate for point in points]


def test_each_configuration_is_ranked_once_by_its_best_trial():
    twin = BARE.model_copy(update={"seed": 77})
    trials = [
        optuna.trial.create_trial(value=value, user_attrs={"config": config.flat()})
        for value, config in ((0.9, LOGITS), (0.8, twin), (0.7, BARE), (0.6, ALIGNED))
    ]
    for number, trial in enumerate(trials, start=5):
        trial.number = number
    assert [setting.trial_number for setting in ranked(trials)] == [5, 6, 8]


def test_seeds_are_shared_by_all_arms_and_no_trials_of_the_search(recorded):
    sweep = recorded.open({"search.seed": 3, "confirm.seeds": 2}).sweep
    assert confirm_seeds(sweep) == [1_003_000, 1_003_001]
    assert confirm_seeds(sweep.overlaid({"confirm.seeds": 3}))[:2] == [1_003_000, 1_003_001]
    assert tuning_seed(sweep) == 2_003_000
    assert sweep.trial_config("tiny_conv", {}, number=999_999).seed < confirm_seeds(sweep)[0]


def test_a_confirmed_configuration_runs_to_its_last_epoch():
    config = with_seed(ALIGNED, 5)
    assert (config.training.early_stopping_patience, config.seed) == (0, 5)
    assert config.optimizer == ALIGNED.optimizer


def test_switching_distillation_off_changes_nothing_else():
    bare = switched(ALIGNED, "no_distillation", Distillation())
    assert family_of(bare) == "no_distillation"
    assert (bare.training, bare.optimizer) == (ALIGNED.training, ALIGNED.optimizer)
    assert bare.distillation == BARE.distillation, "as the search writes a trial without distillation"


def test_logits_alone_keep_alpha_and_temperature_and_align_nothing():
    taught = switched(ALIGNED, "logits_only", LOGITS.distillation)
    assert family_of(taught) == "logits_only"
    assert (taught.distillation.alpha, taught.distillation.temperature) == (0.6, 3.0)
    assert taught.optimizer.weight_decay == 0.01


def test_rates_are_the_middles_of_equal_parts_on_a_log_scale_with_the_winners_own_for_the_nearest():
    """Two decades in four parts: 10**-3.75, -3.25, -2.75, -2.25; 2e-3 is nearest to 10**-2.75 = 1.78e-3."""
    assert learning_rates(2e-3, SPACE, 4) == [1.78e-4, 5.62e-4, 2e-3, 5.62e-3]
    assert learning_rates(2e-3, SPACE, 1) == [2e-3]


def test_rates_of_a_few_choices_are_those_nearest_to_the_winners():
    parameter = {"choices": [1e-4, 1e-3, 1e-2, 0.1], "default": 1e-3}
    space = Space.model_validate({"parameters": {"training.learning_rate": parameter}})
    assert learning_rates(1e-3, space, 2) == [1e-4, 1e-3]
    assert learning_rates(1e-3, space, 9) == [1e-4, 1e-3, 1e-2, 0.1]


def test_a_rate_that_is_not_searched_is_kept():
    assert learning_rates(2e-3, SPACE.holding({"training.learning_rate": 2e-3}), 4) == [2e-3]


def test_a_baseline_is_tuned_among_the_searchs_best_of_its_kind_and_the_winners_settings_at_several_rates():
    points = tuning_points("no_distillation", settings(ALIGNED, LOGITS, BARE), SPACE, 2)
    assert [point.trial_number for point in points] == [2, None, None]
    assert rates(points) == [5e-3, 3.16e-4, 2e-3]
    assert [point.config.optimizer.weight_decay for point in points] == [1e-4, 0.01, 0.01]
    assert {family_of(point.config) for point in points} == {"no_distillation"}


def test_a_winner_that_is_a_baseline_itself_is_among_its_points_once():
    points = tuning_points("no_distillation", settings(BARE, LOGITS), SPACE, 3)
    assert [point.trial_number for point in points] == [0, None, None]
    assert rates(points)[0] == 5e-3 and len(set(rates(points))) == 3


def test_a_winner_without_logits_takes_those_of_the_best_trial_that_has_them():
    points = tuning_points("logits_only", settings(ALIGNED, BARE, LOGITS), SPACE, 1)
    assert [point.trial_number for point in points] == [2, None]
    assert {(point.config.distillation.alpha, point.config.distillation.temperature) for point in points} == {(0.6, 3)}


def test_without_any_logits_in_the_search_they_are_the_platforms():
    (point,) = tuning_points("logits_only", settings(ALIGNED), SPACE, 1)
    assert (point.config.distillation.alpha, point.config.distillation.temperature) == (0.3, 2.0)


@pytest.mark.parametrize("held", [{}, {"distillation.alpha": 0.3}, {"distillation.enabled": False}])
def test_a_space_that_holds_distillation_off_has_no_logits_to_compare_with(held):
    both = ("no_distillation", "logits_only")
    assert baselines_of(SPACE.holding(held)) == (both[:1] if "distillation.enabled" in held else both)
