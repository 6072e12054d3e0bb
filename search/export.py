"""The best configuration as the YAML that the wake-word platform loads, and as distune's own to run again.

Every key that matters is written out, because the platform fills what is missing from defaults that differ
between its own files; all values are plain. What distune knows besides goes under ``distune:``, a section that
the platform ignores.
"""

import math
from collections.abc import Mapping
from typing import Any

import yaml

from search.configuration.provenance import operating_threshold, provenance
from search.record.results import BestTrial, SweepResults
from search.screen.confirm import sentences
from spaces.errors import refuse
from spaces.platform import OWN_SECTION, platform_faults
from spaces.sections import Views
from spaces.trial import TrialConfig
from trainables.audio import frontend
from trainables.stream.detector import Streaming

FRONT_END = {
    "sample_rate": frontend.SAMPLE_RATE,
    "audio_duration": frontend.CLIP_SECONDS,
    "n_mfcc": 0,
    "n_fft": frontend.N_FFT,
    "hop_length": frontend.HOP_SAMPLES,
    "n_mels": frontend.N_MELS,
    "feature_type": "mel",
}
LEAST_THRESHOLD = 1e-6
HEADER = """\
# The best configuration that distune found for {student} in the sweep {sweep}: trial {number},
{measured}
#
# What the platform (snapshot 6687c69) ignores or does otherwise:
# - feature_alignment_weight and alignment_layers have no effect there until its alignment passes gradients
#   (its student features are computed under no_grad). The weight below is for its sum of raw squared errors
#   over layers; distune's own, a mean over layers of states divided by their RMS, stands under distune.trial.
# - temperature_scheduler exponential_decay runs as fixed.
# - its learning-rate schedule steps by val_loss, so a tuned rate does not transfer exactly.
# - class weights, SpecAugment, noise and rooms are its own, disturbed with the probabilities of distune's views.
#   Its form's Validate button objects to a stretch and a pitch range that are one point; loading and training
#   do not.
# - streaming.hysteresis_high is the threshold of distune's own run: a student that is trained anew wants its own.
# - teacher_model_path must name a checkpoint of its own there: an empty one gives a teacher with a random head.
"""


def export_yaml(results: SweepResults, best: BestTrial) -> str:
    """The file's text.

    Args:
        best: the trial to export, one of ``results``.
    """
    header = HEADER.format(
        student=best.student,
        sweep=results.sweep.name,
        number=best.number,
        measured="\n".join(f"# {line}" for line in _measured(results.sweep.objective.metric, best)),
    )
    return header + yaml_text(platform_tree(results, best))


def platform_tree(results: SweepResults, best: BestTrial) -> dict[str, Any]:
    """What the file holds: the platform's sections and distune's own.

    Raises:
        InputError: the platform would refuse or misread a value.
    """
    sections = platform_sections(results, best)
    refuse(platform_faults(sections, f"trial {best.number} of {best.student}"))
    return sections | {OWN_SECTION: provenance(results, best)}


def platform_sections(results: SweepResults, best: BestTrial) -> dict[str, Any]:
    """Every key of `platform-contract` that matters, plain types only."""
    config = best.config
    return {
        "config_name": f"{results.sweep.name}-{best.student}",
        "description": f"distune trial {best.number}",
        "data": {
            **FRONT_END,
            "normalize_audio": True,
            "use_precomputed_features_for_training": False,
            "fallback_to_audio": True,
        },
        "training": {
            "batch_size": config.training.batch_size,
            "epochs": config.training.epochs,
            "learning_rate": config.training.learning_rate,
            # 0 is "never" to distune; the platform has no such value.
            "early_stopping_patience": config.training.early_stopping_patience or config.training.epochs,
            # distune's figures are of the trained weights, not of their moving average.
            "use_ema": False,
        },
        "model": {
            "architecture": config.model.architecture,
            "num_classes": config.model.num_classes,
            "dropout": config.model.dropout,
            "num_layers": 0,
            "tcn_num_channels": list(config.model.tcn_num_channels),
            "tcn_dropout": config.model.dropout,
        },
        "augmentation": _disturbances(results.sweep.data.views) | config.augmentation.model_dump(mode="json"),
        "optimizer": config.optimizer.model_dump(mode="json"),
        # Clips drawn by class besides class weights would balance the classes twice. Its focal loss weighs
        # classes by focal_alpha where it has no class weights, alike at one half.
        "loss": config.loss.model_dump(mode="json")
        | {"focal_alpha": 0.5, "use_dynamic_alpha": False, "sampler_strategy": "none"},
        "qat": {"enabled": False},
        "distillation": _distillation(results, config),
        "streaming": _streaming(results, best),
    }


def _measured(metric: str, best: BestTrial) -> list[str]:
    """How good it is, in words: over the seeds it was confirmed on, or as the search's one run had it."""
    found, arm = best.confirmation, best.arm
    if found is None or arm is None:
        f1 = best.metrics["val_f1"]
        return [f"{metric} {best.objective:.4f} on the validation clips (F1 {f1:.3f} at threshold 0.5), not confirmed."]
    names = [metric, found.objective.test_metric, "test_f1"]
    spreads = {name: found.spread(arm, name) for name in dict.fromkeys(names)}
    told = ", ".join(f"{name} {spread}" for name, spread in spreads.items())
    seeds = f"{len(found.seeds)} seed{'s' * (len(found.seeds) > 1)}"
    if arm != found.winner:
        assert found.winner is not None  # it is at least this arm
        return [f"confirmed on {seeds}: {told}.", f"it is not the winner, which is {found.winner.name}."]
    return [f"confirmed on {seeds}: {told}.", *(f"{sentence}." for sentence in sentences(found))]


def _disturbances(views: Views) -> dict[str, Any]:
    """distune's views as the platform's augmentation, as far as it has keys for them.

    One of ``views.count`` views is the clean clip, so a clip is disturbed that much more seldom than a view.
    """
    disturbed = 1 - 1 / views.count
    return {
        "time_stretch_min": 1.0,
        "time_stretch_max": 1.0,
        "pitch_shift_min": 0,
        "pitch_shift_max": 0,
        "time_shift_prob": disturbed,
        # Whole milliseconds: it draws them with randint.
        "time_shift_min_ms": -round(views.shift_ms),
        "time_shift_max_ms": round(views.shift_ms),
        "background_noise_prob": round(disturbed * views.noise_probability, 6),
        "noise_snr_min": views.snr_db[0],
        "noise_snr_max": views.snr_db[1],
        "rir_prob": round(disturbed * views.rir_probability, 6),
        # A distune room replaces the clip; the direct sound is in its response.
        "rir_dry_wet_min": 0.0,
        "rir_dry_wet_max": 0.0,
        "rir_dry_wet_strategy": "fixed",
    }


def _streaming(results: SweepResults, best: BestTrial) -> dict[str, Any]:
    """The platform's detector at the threshold of the run that is exported.

    That which was found on the stream for its rate, else that of clips; its own where none was recorded.
    """
    chosen, streaming = operating_threshold(results, best), Streaming()
    if chosen:
        on_stream = chosen.get("on_stream", {"release": streaming.hysteresis_low})
        threshold = {**chosen, **on_stream}["threshold"]
        streaming = streaming.model_copy(update={"hysteresis_low": on_stream["release"]})
        # One that nothing reaches is just above 1, one that all pass is 0: the platform wants a probability.
        streaming = streaming.at(min(max(threshold, LEAST_THRESHOLD), 1.0))
    return {
        "hysteresis_high": streaming.hysteresis_high,
        "hysteresis_low": streaming.hysteresis_low,
        "buffer_length_ms": round(1000 * frontend.CLIP_SECONDS),
        "smoothing_window": streaming.smoothing_window,
        "cooldown_ms": streaming.cooldown_ms,
    }


def _distillation(results: SweepResults, config: TrialConfig) -> dict[str, Any]:
    distillation, teacher = config.distillation, results.sweep.teacher
    weight = distillation.feature_alignment_weight
    if distillation.aligned:
        weight = platform_weight(weight, distillation.aligned, results.facts["teachers"])
    return {
        "enabled": distillation.enabled,
        "teacher_model_path": teacher.model or "",
        "teacher_on_cpu": False,
        "teacher_mixed_precision": True,
        "log_memory_usage": False,
        "teacher_architecture": teacher.architecture,
        "secondary_teacher_architecture": "conformer",
        "secondary_teacher_model_path": teacher.secondary_model or "",
        "temperature": distillation.temperature,
        "temperature_scheduler": distillation.temperature_scheduler,
        "alpha": distillation.alpha,
        "feature_alignment_enabled": distillation.feature_alignment_enabled,
        "feature_alignment_weight": weight,
        "alignment_layers": list(distillation.alignment_layers),
    }


def platform_weight(weight: float, aligned: tuple[int, ...], teachers: Mapping[str, Mapping[str, Any]]) -> float:
    """distune's alignment weight as the platform's.

    distune: ``w * mean over (teacher, layer) of MSE(P, t / rms)``; the platform: ``w' * sum of MSE(P', t)``. With
    ``P' = rms * P``, which the projector's last layer can be, ``MSE(P, t / rms) = MSE(P', t) / rms**2``, so
    ``w' = w / (pairs * rms**2)``. Two teachers have two RMS and the platform one weight: there, the mean of
    ``1 / rms**2`` over pairs keeps the sum's size.

    Args:
        teachers: name to ``n_layers`` and ``rms``.
    """
    inverse_squares = [
        1 / states["rms"] ** 2 for states in teachers.values() for layer in aligned if layer < states["n_layers"]
    ]
    return math.fsum(inverse_squares) / len(inverse_squares) ** 2 * weight


def yaml_text(tree: Mapping[str, Any]) -> str:
    """A tree of plain values as YAML, keys in their order."""
    return yaml.dump(tree, Dumper=_ShortLists, sort_keys=False, width=100)


class _ShortLists(yaml.SafeDumper):
    """Lists on one line, as people write them."""


_ShortLists.add_representer(
    list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)
)
