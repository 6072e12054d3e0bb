"""Encoders and classifiers in transformers' own format, read and written."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    BertConfig,
    BertModel,
    PreTrainedModel,
    Wav2Vec2Config,
)

from spaces.errors import InputError
from spaces.sections import Teacher as TeacherConfig
from tests.trainables.teachers.conftest import CONFIGS, SIZES, noise, random_model, saved
from trainables.teachers.base import Teacher
from trainables.teachers.head import LinearHead, all_layers, one_layer
from trainables.teachers.load import load_teacher
from trainables.teachers.wav2vec2 import Wav2Vec2Encoder


def load(model: str, with_heads: bool = True) -> Teacher:
    return load_teacher(TeacherConfig(model=model), with_heads)


def classifier(folder: Path, config: Wav2Vec2Config, n_labels: int = 2, **settings: bool) -> PreTrainedModel:
    """A classifier that distune did not make, with random weights, saved in ``folder``."""
    config = type(config).from_dict(config.to_dict() | settings | {"num_labels": n_labels})
    torch.manual_seed(1)
    model = AutoModelForAudioClassification.from_config(config).eval()
    saved(folder, model)
    return model


def transformers_logits(folder: Path, clips: torch.Tensor) -> torch.Tensor:
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    inputs = extractor(list(clips.numpy()), sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        return AutoModelForAudioClassification.from_pretrained(folder).eval()(**inputs).logits


def test_the_layers_are_transformers_hidden_states_from_the_input_of_block_1(kind, tmp_path):
    model = random_model(CONFIGS[kind])
    encoder = load(saved(tmp_path, model, normalise=False)).members["wav2vec2"]
    clips, entering = noise(2), []
    model.encoder.layers[0].register_forward_pre_hook(lambda block, inputs: entering.append(inputs[0]))
    with torch.inference_mode():
        states = model(clips, output_hidden_states=True).hidden_states
    pooled = encoder.encode(clips)
    assert torch.allclose(pooled, torch.stack([state.mean(dim=1) for state in states], dim=1), atol=1e-6)
    assert torch.allclose(pooled[:, 0], entering[0].mean(dim=1), atol=1e-6)


def test_a_fitted_teacher_gives_the_same_logits_in_transformers(kind, tmp_path):
    encoder = Wav2Vec2Encoder(random_model(CONFIGS[kind]), normalise=True)
    mixes = {"one": one_layer(1, 4), "last": one_layer(3, 4), "all": all_layers(4)}
    for name, layer_weights in mixes.items():
        head = LinearHead(layer_weights, torch.randn(2, 64), torch.randn(2))
        teacher = Teacher({"wav2vec2": encoder}, {"wav2vec2": head})
        teacher.save(tmp_path / name)
        ours = teacher.classify(teacher.encode(noise(3)))
        assert torch.allclose(transformers_logits(tmp_path / name, noise(3)), ours, atol=1e-4)


def test_a_saved_teacher_names_its_classes(tmp_path):
    encoder = Wav2Vec2Encoder(random_model(CONFIGS["wav2vec2"]), normalise=True)
    encoder.save(tmp_path / "teacher", LinearHead(all_layers(4), torch.zeros(2, 64), torch.zeros(2)))
    model = AutoModelForAudioClassification.from_pretrained(tmp_path / "teacher")
    assert model.config.id2label == {0: "negative", 1: "positive"}


@pytest.mark.parametrize("use_weighted_layer_sum", [True, False])
def test_someone_elses_classifier_of_two_classes_is_a_fitted_teacher(tmp_path, use_weighted_layer_sum):
    classifier(tmp_path, CONFIGS["wav2vec2"], use_weighted_layer_sum=use_weighted_layer_sum)
    teacher = load(str(tmp_path))
    assert teacher.fitted
    logits = teacher.classify(teacher.encode(noise(3)))
    assert torch.allclose(logits, transformers_logits(tmp_path, noise(3)), atol=1e-4)


def test_a_head_on_a_state_after_the_last_block_is_refused_but_its_encoder_is_not(tmp_path):
    classifier(tmp_path, CONFIGS["wav2vec2-stable"], use_weighted_layer_sum=False)
    with pytest.raises(InputError, match="distune teacher fit"):
        load(str(tmp_path))
    assert not load(str(tmp_path), with_heads=False).fitted


def test_a_classifier_of_other_classes_is_an_encoder_without_a_head(tmp_path):
    classifier(tmp_path, CONFIGS["hubert"], n_labels=12)
    assert not load(str(tmp_path)).fitted


def test_with_normalisation_a_clips_level_and_offset_do_not_matter():
    encoder = Wav2Vec2Encoder(random_model(CONFIGS["wav2vec2"]), normalise=True)
    assert torch.allclose(encoder.encode(noise(2)), encoder.encode(2 * noise(2) + 1), atol=1e-4)


def test_normalisation_follows_the_preprocessor_and_is_part_of_the_fingerprint(tmp_path):
    model = random_model(CONFIGS["wav2vec2-stable"])
    with_it = load(saved(tmp_path / "a", model, normalise=True)).members["wav2vec2"]
    without = load(saved(tmp_path / "b", model, normalise=False)).members["wav2vec2"]
    (tmp_path / "b" / "preprocessor_config.json").unlink()
    by_default = load(str(tmp_path / "b")).members["wav2vec2"]
    assert not torch.allclose(with_it.encode(noise(1)), without.encode(noise(1)), atol=1e-3)
    assert with_it.fingerprint != without.fingerprint
    assert by_default.fingerprint == with_it.fingerprint


@pytest.mark.parametrize("n_labels", [2, 12])
def test_a_checkpoint_without_the_weight_of_pre_training_loads_the_same_each_time(tmp_path, n_labels):
    classifier(tmp_path, CONFIGS["wav2vec2"], n_labels, use_weighted_layer_sum=True)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["wav2vec2.masked_spec_embed"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    assert load(str(tmp_path)).fingerprint == load(str(tmp_path)).fingerprint


def test_loading_prints_nothing(tmp_path, capfd):
    folder = saved(tmp_path, random_model(CONFIGS["wav2vec2"]))
    capfd.readouterr()
    load(folder)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def with_damaged_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"not safetensors at all")


def with_damaged_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def with_more_blocks_than_weights(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 5}))


def for_another_rate(folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps({"sampling_rate": 8000}))


def of_text(folder: Path) -> None:
    BertModel(BertConfig(hidden_size=8, num_attention_heads=1, num_hidden_layers=1, vocab_size=9)).save_pretrained(
        folder
    )


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (without_weights, "model.safetensors"),
        (with_damaged_weights, "no teacher that transformers loads"),
        (with_damaged_config, "no teacher that transformers loads"),
        (with_more_blocks_than_weights, "lacks 32 weights"),
        (for_another_rate, "hears 8000 Hz"),
        (of_text, "does not hear waveforms"),
    ],
)
def test_a_folder_that_is_no_teacher_is_refused_by_name_and_key(tmp_path, spoil, reason):
    folder = saved(tmp_path, random_model(Wav2Vec2Config(**SIZES)))
    spoil(tmp_path)
    with pytest.raises(InputError) as refusal:
        load(folder)
    [fault] = refusal.value.faults
    assert (fault.file, fault.key) == (folder, "teacher.model")
    assert reason in fault.remedy
