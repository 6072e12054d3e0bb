"""What holds for every encoder: those of transformers, and the Conformer."""

from pathlib import Path

import pytest
import torch

from spaces.sections import Teacher as TeacherConfig
from tests.trainables.teachers.conftest import CONFIGS, noise, random_model
from trainables.teachers.base import Encoder, Teacher, encode_clips
from trainables.teachers.conformer import ConformerConfig, ConformerEncoder
from trainables.teachers.head import LinearHead, all_layers
from trainables.teachers.load import load_teacher
from trainables.teachers.wav2vec2 import Wav2Vec2Encoder

ENCODERS = [*CONFIGS, "conformer"]


def build(kind: str) -> Encoder:
    torch.manual_seed(0)
    if kind == "conformer":
        return ConformerEncoder(ConformerConfig(dim=16, n_blocks=2, n_heads=2, ffn_dim=8, kernel_frames=5)).eval()
    return Wav2Vec2Encoder(random_model(CONFIGS[kind]), normalise=True)


def reloaded(folder: Path, encoder: Encoder) -> Teacher:
    return load_teacher(TeacherConfig(architecture=encoder.name, model=str(folder)))


@pytest.fixture(params=ENCODERS)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    return build(request.param)


def test_a_clip_gives_every_layers_mean_over_time_without_gradient(encoder):
    pooled = encoder.encode(noise(2))
    assert pooled.shape == (2, encoder.n_layers, encoder.dim)
    assert pooled.dtype == torch.float32
    assert pooled.isfinite().all()
    assert not pooled.requires_grad
    assert not pooled.is_inference()


def test_encoding_switches_dropout_off(encoder):
    encoder.train()
    assert torch.equal(encoder.encode(noise(2)), encoder.encode(noise(2)))


def test_a_clip_does_not_depend_on_its_neighbours_or_the_batch_size(encoder):
    teacher, clips = Teacher({encoder.name: encoder}), noise(5)
    done = []
    small = encode_clips(teacher, clips, batch_size=2, on_batch=done.append)[encoder.name]
    whole = encode_clips(teacher, clips)[encoder.name]
    assert torch.allclose(small, whole, atol=1e-5)
    assert done == [2, 4, 5]


def test_a_saved_encoder_comes_back_with_its_states_and_fingerprint_and_no_head(encoder, tmp_path):
    encoder.save(tmp_path / "teacher", None)
    teacher = reloaded(tmp_path / "teacher", encoder)
    member = teacher.members[encoder.name]
    assert not teacher.fitted
    assert torch.allclose(member.encode(noise(2)), encoder.encode(noise(2)), atol=1e-6)
    assert member.fingerprint == encoder.fingerprint


def test_a_saved_head_comes_back_and_leaves_the_encoders_fingerprint_alone(encoder, tmp_path):
    head = LinearHead(all_layers(encoder.n_layers), torch.randn(2, encoder.dim), torch.randn(2))
    teacher = Teacher({encoder.name: encoder}, {encoder.name: head})
    teacher.save(tmp_path / "teacher")
    again = reloaded(tmp_path / "teacher", encoder)
    states = teacher.encode(noise(3))
    assert again.fitted
    assert torch.allclose(again.classify(states), teacher.classify(states), atol=1e-5)
    assert again.fingerprint == teacher.fingerprint


def test_a_loaded_encoder_is_frozen(encoder, tmp_path):
    encoder.save(tmp_path / "teacher", None)
    member = reloaded(tmp_path / "teacher", encoder).members[encoder.name]
    assert not any(parameter.requires_grad for parameter in member.parameters())


def test_another_weight_is_another_fingerprint(encoder):
    before = encoder.fingerprint
    with torch.no_grad():
        next(encoder.blocks[-1].parameters()).add_(1e-3)
    assert encoder.fingerprint != before


def test_gradients_reach_the_first_block(encoder):
    encoder.requires_grad_(True)(noise(2)).sum(dim=(0, 1))[0].backward()
    gradients = [parameter.grad for parameter in encoder.blocks[0].parameters() if parameter.grad is not None]
    assert max(gradient.abs().max() for gradient in gradients) > 0


def test_the_conformer_has_the_platforms_size():
    encoder = ConformerEncoder(ConformerConfig())
    assert (encoder.n_layers, encoder.dim) == (4, 144)
    n_parameters = sum(parameter.numel() for parameter in encoder.parameters()) + 2 * 144 + 2
    assert n_parameters == pytest.approx(1.04e6, rel=0.005)


def test_the_conformers_first_layer_is_the_output_of_block_1():
    encoder, seen = build("conformer"), []
    encoder.blocks[0].register_forward_hook(lambda block, inputs, output: seen.append(output))
    pooled = encoder.encode(noise(2))
    assert torch.equal(pooled[:, 0], seen[0].mean(dim=0))
