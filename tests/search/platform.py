"""The platform's own loader, written from platform-contract.md and stricter: of types too, which it does not check.

Nothing of distune's is used here, so that what distune believes of the platform is tested as well.
"""

from typing import Any

import yaml

# The platform's own loader: a dataclass a section, made with **section, so that an unknown key is a TypeError.
NUMBER, NUMBERS = (int, float), list[float]
SECTIONS: dict[str, dict[str, Any]] = {
    "data": {
        "data_root": str, "sample_rate": int, "audio_duration": NUMBER, "n_mfcc": int, "n_fft": int,
        "hop_length": int, "n_mels": int, "feature_type": str, "normalize_audio": bool,
        "use_precomputed_features_for_training": bool, "npy_feature_dir": str, "npy_feature_type": str,
        "npy_cache_features": bool, "fallback_to_audio": bool,
    },
    "training": {
        "batch_size": int, "epochs": int, "learning_rate": float, "early_stopping_patience": int,
        "fnr_target": float, "num_workers": int, "pin_memory": bool, "persistent_workers": bool,
        "use_compile": bool, "use_gradient_checkpointing": bool, "checkpoint_frequency": str,
        "save_best_only": bool, "use_ema": bool, "ema_decay": float, "ema_final_decay": float,
        "ema_final_epochs": int, "metric_window_size": int, "include_mined_negatives": bool,
    },
    "model": {
        "architecture": str, "num_classes": int, "pretrained": bool, "dropout": NUMBER, "hidden_size": int,
        "num_layers": int, "bidirectional": bool, "tcn_num_channels": list[int], "tcn_kernel_size": int,
        "tcn_dropout": NUMBER, "cddnn_hidden_layers": list[int], "cddnn_context_frames": int,
        "cddnn_dropout": NUMBER, "tiny_conv_use_depthwise": bool,
    },
    "augmentation": {
        "time_stretch_min": NUMBER, "time_stretch_max": NUMBER, "pitch_shift_min": int, "pitch_shift_max": int,
        "time_shift_prob": NUMBER, "time_shift_min_ms": int, "time_shift_max_ms": int,
        "background_noise_prob": NUMBER, "noise_snr_min": NUMBER, "noise_snr_max": NUMBER, "rir_prob": NUMBER,
        "rir_dry_wet_min": NUMBER, "rir_dry_wet_max": NUMBER, "rir_dry_wet_strategy": str,
        "use_spec_augment": bool, "freq_mask_param": int, "time_mask_param": int, "n_freq_masks": int,
        "n_time_masks": int,
    },
    "optimizer": {
        "optimizer": str, "weight_decay": NUMBER, "momentum": NUMBER, "betas": NUMBERS, "scheduler": str,
        "warmup_epochs": int, "min_lr": NUMBER, "step_size": int, "gamma": NUMBER, "patience": int,
        "factor": NUMBER, "gradient_clip": NUMBER, "mixed_precision": bool,
    },
    "loss": {
        "loss_function": str, "label_smoothing": NUMBER, "focal_alpha": NUMBER, "focal_gamma": NUMBER,
        "triplet_margin": NUMBER, "class_weights": str, "hard_negative_weight": NUMBER,
        "class_weight_min": NUMBER, "class_weight_max": NUMBER, "use_dynamic_alpha": bool,
        "max_focal_alpha": NUMBER, "sampler_strategy": str,
    },
    "qat": {"enabled": bool, "backend": str, "start_epoch": int},
    "distillation": {
        "enabled": bool, "teacher_model_path": str, "teacher_on_cpu": bool, "teacher_mixed_precision": bool,
        "log_memory_usage": bool, "teacher_architecture": str, "secondary_teacher_architecture": str,
        "secondary_teacher_model_path": str, "temperature": NUMBER, "temperature_scheduler": str,
        "alpha": NUMBER, "feature_alignment_enabled": bool, "feature_alignment_weight": NUMBER,
        "alignment_layers": list[int],
    },
    "cmvn": {"enabled": bool, "stats_path": str, "calculate_on_fly": bool},
    "streaming": {
        "hysteresis_high": NUMBER, "hysteresis_low": NUMBER, "buffer_length_ms": int, "smoothing_window": int,
        "cooldown_ms": int,
    },
    "size_targets": {"max_flash_kb": int, "max_ram_kb": int},
    "calibration": {"num_samples": int, "positive_ratio": NUMBER},
}  # fmt: skip
# What platform-contract.md says to write out, because the platform's defaults for it differ or do harm.
REQUIRED = {
    "data": "sample_rate audio_duration n_mfcc n_fft hop_length n_mels feature_type normalize_audio "
            "use_precomputed_features_for_training fallback_to_audio",
    "training": "batch_size epochs learning_rate early_stopping_patience use_ema",
    "model": "architecture num_classes dropout num_layers tcn_num_channels tcn_dropout",
    "augmentation": "use_spec_augment freq_mask_param time_mask_param n_freq_masks n_time_masks time_stretch_min "
                    "time_stretch_max pitch_shift_min pitch_shift_max time_shift_prob time_shift_min_ms "
                    "time_shift_max_ms background_noise_prob noise_snr_min noise_snr_max rir_prob",
    "optimizer": "optimizer weight_decay momentum betas scheduler warmup_epochs min_lr gradient_clip mixed_precision",
    "loss": "loss_function label_smoothing focal_alpha focal_gamma hard_negative_weight class_weights "
            "class_weight_min class_weight_max use_dynamic_alpha sampler_strategy",
    "distillation": " ".join(SECTIONS["distillation"]),
    "streaming": " ".join(SECTIONS["streaming"]),
}  # fmt: skip


def read_strictly(text: str) -> dict[str, Any]:
    """The file as the platform loads it.

    Raises:
        TypeError: a key, a null or a type that the platform does not take.
    """
    return checked(yaml.safe_load(text))


def checked(tree: dict[str, Any]) -> dict[str, Any]:
    """The platform's sections of a file's content.

    Raises:
        TypeError: as of `read_strictly`.
    """
    sections = {}
    for name, fields in SECTIONS.items():
        section = tree.get(name, {})
        if not isinstance(section, dict):
            raise TypeError(f"{name} = {section!r} is no section")
        for key, value in section.items():
            if key not in fields:
                raise TypeError(f"{name} got an unexpected key {key!r}")
            if not _is_a(value, fields[key]):
                raise TypeError(f"{name}.{key} = {value!r} is no {fields[key]}")
        sections[name] = section
    return sections


def _is_a(value: Any, wanted: Any) -> bool:
    if wanted in (NUMBERS, list[int]):
        element = int if wanted == list[int] else NUMBER
        return type(value) is list and all(_is_a(item, element) for item in value)
    # By type(), because isinstance(True, int) holds.
    return type(value) in (wanted if isinstance(wanted, tuple) else (wanted,))
