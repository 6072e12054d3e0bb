"""What the platform reads of an exported file; its sections, keys and types are those of its snapshot 6687c69."""

import math
from dataclasses import replace
from typing import Any

import pytest
import yaml

from search.configuration.provenance import operating_threshold
from search.confirm.results import Arm, Confirmation
from search.export import export_yaml, platform_weight
from search.record.results import SweepResults
from search.reproduce import Provenance
from spaces.space import Space
from spaces.trial import TrialConfig
from tests.search.platform import REQUIRED, SECTIONS, read_strictly
from trainables.stream.detector import Streaming

HEAD, CORPUS = "ab" * 32, "corpora/0123456789abcdef"
ONE_TEACHER = {"wav2vec2": {"n_layers": 7, "dim": 128, "rms": 0.5}}
TWO_TEACHERS = ONE_TEACHER | {"conformer": {"n_layers": 4, "dim": 144, "rms": 2.0}}


CLIPS = {"val_threshold_at_fpr": 0.9, "val_frr_at_fpr": 0.2}


@pytest.fixture
def exported(recorded, end_trial):
    """The file of a sweep's one finished trial, with keys of the trial held as given."""

    def export(fixed: dict[str, Any] | None = None, changes: dict[str, Any] | None = None, teachers=ONE_TEACHER) -> str:
        space = Space.model_validate({"parameters": {}, "fixed": fixed or {}})
        record = recorded.open(changes, space)
        end_trial(record, "tiny_conv", [0.5, 0.8, 0.7])
        metrics = {"val": {"f1": 0.9, "pauc": 0.95}}
        facts = {"corpus": CORPUS, "head": HEAD, "teachers": teachers, "teacher_metrics": metrics}
        recorded.folder.write(record.sweep, facts)
        results = SweepResults.read(recorded.folder)
        return export_yaml(results, results.to_export("tiny_conv"))

    return export


def confirmed_by(results: SweepResults) -> Confirmation:
    """The one trial on two seeds: 0.70 and 0.80 on validation, 0.1 less on the test clips; a baseline 0.2 below."""
    config = results.best("tiny_conv").config

    def arm(name: str, kind: Any, number: int | None, config: TrialConfig, below: float) -> Arm:
        runs = {
            seed: {
                "val_pauc": val - below, "val_f1": 0.5, "test_pauc": val - below - 0.1, "test_f1": 0.4, "epoch": 2.0
            }
            for seed, val in ((1_000_000, 0.7), (1_000_001, 0.8))
        }  # fmt: skip
        return Arm(name, kind, number, config, runs, {})

    bare = TrialConfig.from_flat({"distillation.enabled": False})
    arms = arm("trial 0", "candidate", 0, config, 0.0), arm("no distillation", "no_distillation", None, bare, 0.2)
    return Confirmation("tiny_conv", results.sweep.objective, arms)


@pytest.fixture
def confirmed_export(exported, recorded) -> str:
    """The file of the same trial, confirmed."""
    exported({"distillation.alpha": 0.6})
    results = SweepResults.read(recorded.folder)
    results = replace(results, confirmed={"tiny_conv": confirmed_by(results)})
    return export_yaml(results, results.to_export())


def test_a_confirmed_winner_says_what_it_was_confirmed_at(confirmed_export):
    comment = "\n".join(line for line in confirmed_export.splitlines() if line.startswith("#"))
    assert "trial 0,\n# confirmed on 2 seeds: val_pauc 0.750 ± 0.071, test_pauc 0.650 ± 0.071, test_f1 0.400" in comment
    assert "# better than no distillation by 0.200 test pauc with 2 seeds" in comment
    assert "not confirmed" not in comment


def test_a_confirmed_winners_provenance_has_means_gains_and_the_best_seeds_trial(confirmed_export):
    read_strictly(confirmed_export)
    section = yaml.safe_load(confirmed_export)["distune"]
    confirmed = section["confirmed"]
    assert confirmed["seeds"] == [1_000_000, 1_000_001]
    assert confirmed["val_pauc"] == {"mean": pytest.approx(0.75), "sd": pytest.approx(0.0707, abs=1e-4), "n": 2}
    assert confirmed["gain_over_no_distillation"]["test_pauc"]["mean"] == pytest.approx(0.2)
    assert (section["trial"]["seed"], section["metrics"]["val_pauc"]) == (1_000_001, 0.8)
    assert Provenance.model_validate(section).trial.distillation.alpha == 0.6


def test_what_was_not_confirmed_says_so(exported):
    text = exported()
    assert "(F1 0.500 at threshold 0.5), not confirmed." in text
    assert yaml.safe_load(text)["distune"]["confirmed"] is None


def test_every_key_that_matters_is_written_and_the_platform_knows_each(exported):
    sections = read_strictly(exported())
    assert {name: set(keys.split()) - set(sections[name]) for name, keys in REQUIRED.items()} == {
        name: set() for name in REQUIRED
    }
    assert sections["qat"] == {"enabled": False}


@pytest.mark.parametrize(
    ("measured", "high", "low"),
    [
        ({}, 0.7, 0.3),  # of an older record: the platform's own
        (CLIPS, 0.9, 0.3),
        ({"val_threshold_at_fpr": 0.1, "val_frr_at_fpr": 0.2}, 0.1, 0.1),
        ({"val_threshold_at_fpr": 0.0, "val_frr_at_fpr": 0.0}, 1e-6, 1e-6),
        (CLIPS | {"val_stream_threshold": 0.6, "val_stream_release": 0.5}, 0.6, 0.5),
        (CLIPS | {"val_stream_threshold": 1 + 2**-52, "val_stream_release": 0.3}, 1.0, 0.3),
    ],
)
def test_the_detector_has_the_threshold_of_the_trial_that_of_the_stream_before_that_of_clips(
    recorded, exported, measured, high, low
):
    exported()
    results = SweepResults.read(recorded.folder)
    best = results.to_export()
    metrics = dict(best.metrics) | measured | ({"val_stream_frr_at_fah": 0.5} if len(measured) > 2 else {})
    tree = read_strictly(export_yaml(results, replace(best, metrics=metrics)))
    assert tree["streaming"] == {
        "hysteresis_high": high, "hysteresis_low": low, "buffer_length_ms": 1500, "smoothing_window": 5,
        "cooldown_ms": 500,
    }  # fmt: skip
    Streaming.model_validate({key: tree["streaming"][key] for key in Streaming.model_fields if key != "hop_ms"})


def test_a_trial_that_was_not_confirmed_has_the_threshold_that_its_best_epoch_measured(recorded, exported):
    exported()
    results = SweepResults.read(recorded.folder)
    best = results.to_export()
    stream = {"val_stream_threshold": 0.6, "val_stream_release": 0.3, "val_stream_frr_at_fah": 0.1}
    found = operating_threshold(results, replace(best, metrics=dict(best.metrics) | CLIPS))
    assert (found["threshold"], found["val_fnr"]) == (0.9, 0.2)
    assert found["rule"] == "the lowest above which at most 1 % of the validation negatives lie"
    found = operating_threshold(results, replace(best, metrics=dict(best.metrics) | CLIPS | stream))
    assert found["on_stream"] == {"threshold": 0.6, "release": 0.3, "false_accepts_per_hour": 0.5, "frr": 0.1}


def test_all_values_are_plain(exported):
    def check(value: Any) -> None:
        assert type(value) in (dict, list, str, int, float, bool, type(None)), value
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            check(item)

    check(yaml.safe_load(exported()))


def test_beside_the_platforms_sections_stands_only_distunes_own(exported):
    assert set(yaml.safe_load(exported())) - set(SECTIONS) == {"config_name", "description", "distune"}


def test_a_trials_values_reach_the_platforms_keys_untranslated(exported):
    fixed = {
        "distillation.alpha": 0.6, "distillation.temperature": 3.0, "training.learning_rate": 2e-3,
        "training.batch_size": 24, "model.dropout": 0.35, "optimizer.weight_decay": 1e-5,
        "loss.label_smoothing": 0.1, "augmentation.freq_mask_param": 5, "training.early_stopping_patience": 4,
    }  # fmt: skip
    sections = read_strictly(exported(fixed))
    found = {key: sections[key.split(".")[0]][key.split(".")[1]] for key in fixed}
    assert found == fixed
    assert (sections["training"]["epochs"], sections["model"]["architecture"]) == (9, "tiny_conv")


def test_the_student_and_the_front_end_are_pinned(exported):
    sections = read_strictly(exported())
    assert sections["model"]["tcn_num_channels"] == [16, 32, 64, 64]
    assert sections["model"]["num_layers"] == 0
    front_end = ("sample_rate", "audio_duration", "n_fft", "hop_length", "n_mels", "n_mfcc")
    assert [sections["data"][key] for key in front_end] == [16_000, 1.5, 400, 160, 64, 0]
    assert sections["data"]["use_precomputed_features_for_training"] is False
    assert sections["data"]["fallback_to_audio"] is True


def test_the_platform_is_kept_from_training_otherwise_than_distune_did(exported):
    sections = read_strictly(exported())
    assert sections["training"]["use_ema"] is False
    told = {key: sections["loss"][key] for key in ("sampler_strategy", "use_dynamic_alpha", "focal_alpha")}
    assert told == {"sampler_strategy": "none", "use_dynamic_alpha": False, "focal_alpha": 0.5}


def test_views_become_the_platforms_augmentation(exported):
    """Of four views one is clean: noise in 3/4 of 0.8, a room in 3/4 of 0.4, a shift in 3/4."""
    views = {"count": 4, "noise_probability": 0.8, "rir_probability": 0.4, "snr_db": [3.0, 15.0], "shift_ms": 80.0}
    augmentation = read_strictly(exported(changes={"data.views": views}))["augmentation"]
    probabilities = [augmentation[key] for key in ("background_noise_prob", "rir_prob", "time_shift_prob")]
    assert probabilities == pytest.approx([0.6, 0.3, 0.75])
    assert (augmentation["noise_snr_min"], augmentation["noise_snr_max"]) == (3.0, 15.0)
    assert (augmentation["time_shift_min_ms"], augmentation["time_shift_max_ms"]) == (-80, 80)
    assert (augmentation["time_stretch_min"], augmentation["time_stretch_max"]) == (1.0, 1.0)
    assert (augmentation["pitch_shift_min"], augmentation["pitch_shift_max"]) == (0, 0)


def test_clean_views_alone_are_not_disturbed(exported):
    augmentation = read_strictly(exported(changes={"data.views.count": 1}))["augmentation"]
    assert [augmentation[key] for key in ("background_noise_prob", "rir_prob", "time_shift_prob")] == [0, 0, 0]


def test_patience_that_never_ends_is_as_long_as_the_training(exported):
    assert read_strictly(exported())["training"]["early_stopping_patience"] == 9


def test_a_trial_without_distillation_says_so(exported):
    distillation = read_strictly(exported({"distillation.enabled": False}))["distillation"]
    assert distillation["enabled"] is False


def test_the_alignment_weight_is_converted_by_hand_for_one_teacher():
    """0.6 * mean over 3 layers of MSE / 0.5**2 = 0.8 * the sum over 3 layers of MSE."""
    assert platform_weight(0.6, (2, 4, 6), ONE_TEACHER) == pytest.approx(0.6 / (3 * 0.25)) == pytest.approx(0.8)


def test_the_alignment_weight_is_converted_by_hand_for_two_teachers():
    """Three layers of the first, of which the second has one: four pairs.

    1 / rms**2 is 4 (three times) and 1/4 (once), on average 3.0625; a mean over 4 pairs is a quarter of a sum.
    """
    assert platform_weight(0.8, (2, 4, 6), {**TWO_TEACHERS, "conformer": {"n_layers": 3, "rms": 2.0}}) == pytest.approx(
        0.8 * 3.0625 / 4
    )


def test_two_teachers_of_one_rms_are_converted_exactly():
    teachers = {name: {"n_layers": 7, "rms": 0.5} for name in ("wav2vec2", "conformer")}
    assert platform_weight(1.0, (0, 6), teachers) == pytest.approx(1 / (4 * 0.25))


def test_an_exported_weight_is_the_platforms_and_distunes_own_stands_beside(exported):
    fixed = {
        "distillation.feature_alignment_enabled": True, "distillation.alignment_layers": [2, 4, 6],
        "distillation.feature_alignment_weight": 0.6,
    }  # fmt: skip
    text = exported(fixed)
    distillation = read_strictly(text)["distillation"]
    assert distillation["alignment_layers"] == [2, 4, 6]
    assert math.isclose(distillation["feature_alignment_weight"], 0.8)
    assert yaml.safe_load(text)["distune"]["trial"]["distillation"]["feature_alignment_weight"] == 0.6


def test_a_teacher_of_the_users_is_named(exported):
    changes = {"teacher.architecture": "dual", "teacher.model": "m.pt", "teacher.secondary_model": "c.pt"}
    distillation = read_strictly(exported(changes=changes, teachers=TWO_TEACHERS))["distillation"]
    assert (distillation["teacher_architecture"], distillation["teacher_model_path"]) == ("dual", "m.pt")
    assert distillation["secondary_teacher_model_path"] == "c.pt"


def test_the_file_opens_with_what_the_platform_ignores(exported):
    comment = [line for line in exported().splitlines() if line.startswith("#")]
    told = "\n".join(comment)
    assert "tiny_conv in the sweep first: trial 0" in told
    assert "val_pauc 0.8000" in told
    assert "temperature_scheduler exponential_decay runs as fixed" in told
    assert "feature_alignment_weight and alignment_layers have no effect there" in told
    assert "teacher_model_path must name a checkpoint" in told


def test_the_distune_section_holds_what_running_the_trial_again_takes(exported):
    text = exported({"distillation.alpha": 0.6})
    section = yaml.safe_load(text)["distune"]
    assert (section["student"], section["trial_number"]) == ("tiny_conv", 0)
    assert (section["corpus"], section["head"]) == (CORPUS, HEAD)
    assert section["metrics"] == {"val_pauc": 0.8, "val_f1": 0.5, "epoch": 2.0}
    assert section["teacher_metrics"] == {"val": {"f1": 0.9, "pauc": 0.95}}
    assert {"torch", "torchaudio", "numpy", "transformers", "python", "machine"} <= set(section["packages"])
    again = Provenance.model_validate(section)
    assert (again.trial.distillation.alpha, again.trial.seed, again.sweep.name) == (0.6, 0, "first")
