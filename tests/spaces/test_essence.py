"""When two configurations train alike."""

import pytest

from spaces.essence import essence
from spaces.trial import TrialConfig

PLAIN = {"distillation.enabled": False}
ALIGNED = {"distillation.alpha": 0.0, "distillation.feature_alignment_enabled": True}
LOGITS = {"distillation.alpha": 0.3}


def same(one: dict, other: dict) -> bool:
    return essence(TrialConfig.from_flat(one)) == essence(TrialConfig.from_flat(other))


@pytest.mark.parametrize(
    ("base", "idle"),
    [
        (LOGITS, {"seed": 7}),
        (PLAIN, {"distillation.alpha": 0.9, "distillation.temperature": 9}),
        (ALIGNED, {"distillation.temperature": 9, "distillation.temperature_scheduler": "linear_decay"}),
        (ALIGNED | {"distillation.alignment_layers": [2, 4]}, {"distillation.alignment_layers": [4, 2]}),
        (LOGITS, {"distillation.alignment_layers": [1], "distillation.feature_alignment_weight": 9}),
        (LOGITS, {"optimizer.momentum": 0.5}),
        (LOGITS | {"optimizer.optimizer": "sgd"}, {"optimizer.betas": [0.5, 0.5]}),
        (LOGITS | {"optimizer.scheduler": "none"}, {"optimizer.min_lr": 0.1}),
        (LOGITS, {"loss.focal_gamma": 1}),
        (LOGITS | {"loss.class_weights": "none"}, {"loss.class_weight_max": 2}),
        (LOGITS | {"augmentation.use_spec_augment": False}, {"augmentation.n_freq_masks": 9}),
        (LOGITS | {"augmentation.n_time_masks": 0}, {"augmentation.time_mask_param": 9}),
    ],
)
def test_what_has_no_effect_makes_no_other_trial(base, idle):
    assert same(base, base | idle)


@pytest.mark.parametrize(
    ("base", "telling"),
    [
        (PLAIN, {"training.learning_rate": 0.1}),
        (PLAIN, {"distillation.enabled": True}),
        (LOGITS, {"distillation.temperature": 9}),
        (LOGITS, ALIGNED),
        (ALIGNED, {"distillation.alignment_layers": [1]}),
        (ALIGNED, {"distillation.feature_alignment_weight": 9}),
        (LOGITS | {"optimizer.optimizer": "sgd"}, {"optimizer.momentum": 0.5}),
        (LOGITS, {"augmentation.time_mask_param": 9}),
        (LOGITS, {"training.epochs": 9}),
    ],
)
def test_what_has_an_effect_does(base, telling):
    assert not same(base, base | telling)
