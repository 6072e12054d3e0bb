"""The wake-word platform's own configuration: its sections, keys, types and defaults, as its snapshot 6687c69 has them.

`PlatformConfig` takes what the platform takes; `platform_faults` finds what it would refuse, or misread in silence: a
number that YAML reads as text, a list written as one string, a misspelt section. Where its defaults come from the
environment, as for the number of workers, those without one stand here.
"""

import difflib
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from spaces.errors import Fault, faults_of
from spaces.trial import Section

OWN_SECTION = "distune"


class PlatformSection(Section):
    """As in the platform, ``extra`` keys are an error; unlike there, so is a value of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)

    @field_validator("*", mode="before")
    @classmethod
    def _is_what_it_looks_like(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, str) and annotation in (float, int, float | None) and _is_number(value):
            raise ValueError(f"is text to YAML, which wants a dot in such a number; write {float(value):g}")
        if isinstance(value, str) and annotation in (list[int], list[float]):
            raise ValueError(f"is one text, which the platform takes without a word; write it as a list, [{value}]")
        return value


class PlatformData(PlatformSection):
    data_root: str = "data"
    sample_rate: int = 16000
    audio_duration: float = 1.5
    n_mfcc: int = 0
    n_fft: int = 400
    hop_length: int = 160
    n_mels: int = 64
    feature_type: str = "mel"
    normalize_audio: bool = True
    use_precomputed_features_for_training: bool = True
    npy_feature_dir: str = "data/npy"
    npy_feature_type: str = "mel"
    npy_cache_features: bool = True
    fallback_to_audio: bool = True


class PlatformTraining(PlatformSection):
    batch_size: int = 64
    epochs: int = 80
    learning_rate: float = 5e-4
    early_stopping_patience: int = 15
    fnr_target: float | None = None
    num_workers: int = 8
    pin_memory: bool = True
    persistent_workers: bool = True
    use_compile: bool = False
    use_gradient_checkpointing: bool = False
    checkpoint_frequency: str = "every_5_epochs"
    save_best_only: bool = True
    use_ema: bool = True
    ema_decay: float = 0.999
    ema_final_decay: float = 0.9995
    ema_final_epochs: int = 10
    metric_window_size: int = 100
    include_mined_negatives: bool = True


class PlatformModel(PlatformSection):
    architecture: str = "resnet18"
    num_classes: int = 2
    pretrained: bool = False
    dropout: float = 0.3
    hidden_size: int = 128
    num_layers: int = 2
    bidirectional: bool = True
    tcn_num_channels: list[int] = Field(default_factory=lambda: [64, 128, 256])
    tcn_kernel_size: int = 3
    tcn_dropout: float = 0.3
    cddnn_hidden_layers: list[int] = Field(default_factory=lambda: [512, 256, 128])
    cddnn_context_frames: int = 50
    cddnn_dropout: float = 0.3
    tiny_conv_use_depthwise: bool = False


class PlatformAugmentation(PlatformSection):
    time_stretch_min: float = 0.9
    time_stretch_max: float = 1.1
    pitch_shift_min: int = -2
    pitch_shift_max: int = 2
    time_shift_prob: float = 0.0
    time_shift_min_ms: int = -100
    time_shift_max_ms: int = 100
    background_noise_prob: float = 0.5
    noise_snr_min: float = 5.0
    noise_snr_max: float = 20.0
    rir_prob: float = 0.25
    rir_dry_wet_min: float = 0.3
    rir_dry_wet_max: float = 0.7
    rir_dry_wet_strategy: str = "random"
    use_spec_augment: bool = True
    freq_mask_param: int = 15
    time_mask_param: int = 30
    n_freq_masks: int = 2
    n_time_masks: int = 2


class PlatformOptimizer(PlatformSection):
    optimizer: str = "adamw"
    weight_decay: float = 1e-4
    momentum: float = 0.9
    betas: list[float] = Field(default_factory=lambda: [0.9, 0.999])
    scheduler: str = "cosine"
    warmup_epochs: int = 5
    min_lr: float = 1e-6
    step_size: int = 10
    gamma: float = 0.5
    patience: int = 5
    factor: float = 0.5
    gradient_clip: float = 1.0
    mixed_precision: bool = True


class PlatformLoss(PlatformSection):
    loss_function: str = "focal_loss"
    label_smoothing: float = 0.1
    focal_alpha: float = 0.85
    focal_gamma: float = 2.5
    triplet_margin: float = 1.0
    class_weights: str = "balanced"
    hard_negative_weight: float = 2.0
    class_weight_min: float = 0.1
    class_weight_max: float = 100.0
    use_dynamic_alpha: bool = True
    max_focal_alpha: float = 0.9
    sampler_strategy: str = "weighted"


class PlatformQat(PlatformSection):
    enabled: bool = False
    backend: str = "fbgemm"
    start_epoch: int = 5


class PlatformDistillation(PlatformSection):
    enabled: bool = False
    teacher_model_path: str = ""
    teacher_on_cpu: bool = False
    teacher_mixed_precision: bool = True
    log_memory_usage: bool = False
    teacher_architecture: Literal["wav2vec2", "conformer", "dual"] = "dual"
    secondary_teacher_architecture: str = "conformer"
    secondary_teacher_model_path: str = ""
    temperature: float = Field(2.0, ge=1, le=10)
    temperature_scheduler: str = "fixed"
    alpha: float = Field(0.3, ge=0, le=1)
    feature_alignment_enabled: bool = False
    feature_alignment_weight: float = 0.1
    alignment_layers: list[int] = Field(default_factory=lambda: [1, 2, 3])


class PlatformCmvn(PlatformSection):
    enabled: bool = True
    stats_path: str = "data/cache/cmvn_stats.json"
    calculate_on_fly: bool = True


class PlatformStreaming(PlatformSection):
    hysteresis_high: float = 0.7
    hysteresis_low: float = 0.3
    buffer_length_ms: int = 1500
    smoothing_window: int = 5
    cooldown_ms: int = 500


class PlatformSizeTargets(PlatformSection):
    max_flash_kb: int = 0
    max_ram_kb: int = 0


class PlatformCalibration(PlatformSection):
    num_samples: int = 100
    positive_ratio: float = 0.5


class PlatformConfig(PlatformSection):
    """The platform's file, whole; top-level keys that are none of its own it ignores, and so are they here."""

    model_config = ConfigDict(extra="ignore")

    config_name: str = "default"
    description: str = ""
    data: PlatformData = Field(default_factory=PlatformData)
    training: PlatformTraining = Field(default_factory=PlatformTraining)
    model: PlatformModel = Field(default_factory=PlatformModel)
    augmentation: PlatformAugmentation = Field(default_factory=PlatformAugmentation)
    optimizer: PlatformOptimizer = Field(default_factory=PlatformOptimizer)
    loss: PlatformLoss = Field(default_factory=PlatformLoss)
    qat: PlatformQat = Field(default_factory=PlatformQat)
    distillation: PlatformDistillation = Field(default_factory=PlatformDistillation)
    cmvn: PlatformCmvn = Field(default_factory=PlatformCmvn)
    streaming: PlatformStreaming = Field(default_factory=PlatformStreaming)
    size_targets: PlatformSizeTargets = Field(default_factory=PlatformSizeTargets)
    calibration: PlatformCalibration = Field(default_factory=PlatformCalibration)


def platform_faults(tree: Mapping[str, Any], file: str) -> list[Fault]:
    """Everything of a file's content that the platform would refuse or misread."""
    faults = []
    for key in unknown_keys(tree):
        if meant := difflib.get_close_matches(key, PlatformConfig.model_fields, n=1):
            remedy = f"the platform ignores it, and takes its defaults for {meant[0]}; rename it"
            faults.append(Fault(file, key, None, remedy))
    try:
        PlatformConfig.model_validate(tree)
    except ValidationError as error:
        faults += faults_of(error, file)
    return faults


def unknown_keys(tree: Mapping[str, Any]) -> list[str]:
    """Top-level keys that the platform ignores, distune's own left out."""
    return [str(key) for key in tree if key not in PlatformConfig.model_fields and key != OWN_SECTION]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
