"""What of a trial's configuration decides how it trains: two trials that share it differ in their seed alone."""

from spaces.trial import TrialConfig

Essence = frozenset[tuple[str, str]]


def essence(config: TrialConfig) -> Essence:
    """The keys that have an effect, with their values; the seed is none of them."""
    idle = {"seed", *_idle_keys(config)}
    flat = config.flat() | {"distillation.alignment_layers": sorted(config.distillation.aligned)}
    return frozenset((key, repr(value)) for key, value in flat.items() if not _is_under(key, idle))


def idle_keys(config: TrialConfig) -> set[str]:
    """The dotted keys without an effect in a configuration, but for the layers of one that aligns none."""
    idle = set(_idle_keys(config))
    return {key for key in config.flat() if _is_under(key, idle)}


def _idle_keys(config: TrialConfig) -> list[str]:
    """Keys, or whole sections, that another key has switched off."""
    distillation, optimizer, loss = config.distillation, config.optimizer, config.loss
    augmentation = config.augmentation
    switches = [
        (distillation.enabled, ["distillation"]),
        (distillation.alpha > 0, ["distillation.temperature", "distillation.temperature_scheduler"]),
        (distillation.aligned, ["distillation.feature_alignment_weight"]),
        (optimizer.optimizer == "sgd", ["optimizer.momentum"]),
        (optimizer.optimizer != "sgd", ["optimizer.betas"]),
        (optimizer.scheduler == "cosine", ["optimizer.min_lr"]),
        (loss.loss_function == "focal_loss", ["loss.focal_gamma"]),
        (loss.class_weights == "balanced", ["loss.class_weight_min", "loss.class_weight_max"]),
        (augmentation.use_spec_augment, ["augmentation"]),
        (augmentation.n_freq_masks, ["augmentation.freq_mask_param"]),
        (augmentation.n_time_masks, ["augmentation.time_mask_param"]),
    ]
    return [key for switched_on, keys in switches if not switched_on for key in keys]


def _is_under(key: str, idle: set[str]) -> bool:
    return any(key == other or key.startswith(f"{other}.") for other in idle)
