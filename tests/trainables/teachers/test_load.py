"""From a sweep file's teacher section to a teacher, or to all that is wrong with it."""

import huggingface_hub.constants
import pytest
import torch

from spaces.errors import InputError
from spaces.sections import Teacher as TeacherConfig
from tests.trainables.teachers.conftest import CONFIGS, noise, random_model, saved
from trainables.teachers.base import Teacher
from trainables.teachers.conformer import ConformerConfig, ConformerEncoder
from trainables.teachers.dual import mix_logits
from trainables.teachers.head import LinearHead, all_layers
from trainables.teachers.load import SHIPPED, load_teacher
from trainables.teachers.wav2vec2 import Wav2Vec2Encoder


@pytest.fixture
def dual() -> Teacher:
    torch.manual_seed(0)
    conformer = ConformerEncoder(ConformerConfig(dim=16, n_blocks=2, n_heads=2, ffn_dim=8, kernel_frames=5))
    members = {"wav2vec2": Wav2Vec2Encoder(random_model(CONFIGS["wav2vec2"]), True), "conformer": conformer}
    heads = {
        name: LinearHead(all_layers(member.n_layers), torch.randn(2, member.dim), torch.zeros(2))
        for name, member in members.items()
    }
    return Teacher(members, heads)


def dual_config(folder, **settings) -> TeacherConfig:
    models = {"model": str(folder / "wav2vec2"), "secondary_model": str(folder / "conformer")}
    return TeacherConfig(architecture="dual", **{**models, **settings})


@pytest.mark.parametrize("mixing", ["confidence", "gentle"])
def test_a_dual_teacher_is_saved_in_two_folders_and_mixes_as_configured(dual, tmp_path, mixing):
    dual.save(tmp_path / "teacher")
    teacher = load_teacher(dual_config(tmp_path / "teacher", mixing=mixing))
    states = teacher.encode(noise(3))
    single = torch.stack([dual.heads[name](states[name]) for name in ("wav2vec2", "conformer")])
    assert torch.allclose(teacher.classify(states), mix_logits(single, mixing), atol=1e-4)


def test_mixing_belongs_to_the_heads_fingerprint_and_not_to_the_encoders(dual):
    gentle = Teacher(dual.members, dual.heads, "gentle")
    assert gentle.fingerprint == dual.fingerprint
    assert gentle.head_fingerprint != dual.head_fingerprint


def test_a_dual_teacher_with_one_head_is_not_fitted(dual):
    half = Teacher(dual.members, {"wav2vec2": dual.heads["wav2vec2"]})
    assert not half.fitted
    with pytest.raises(ValueError, match="would be noise"):
        half.classify(half.encode(noise(1)))


def test_everything_wrong_with_a_dual_teacher_is_said_at_once(tmp_path):
    with pytest.raises(InputError) as refusal:
        load_teacher(dual_config(tmp_path))
    assert [fault.key for fault in refusal.value.faults] == ["teacher.model", "teacher.secondary_model"]
    assert "does not exist" in refusal.value.faults[0].remedy
    assert "distune teacher fit --architecture conformer" in refusal.value.faults[1].remedy


def test_a_wav2vec2_is_no_conformer(tmp_path):
    folder = saved(tmp_path, random_model(CONFIGS["wav2vec2"]))
    with pytest.raises(InputError, match=r"teacher\.model: is not distune's conformer"):
        load_teacher(TeacherConfig(architecture="conformer", model=folder))


@pytest.mark.parametrize("spoil", [lambda weights: weights[:100], lambda weights: b""])
def test_a_conformer_with_damaged_weights_is_refused(dual, tmp_path, spoil):
    dual.save(tmp_path)
    path = tmp_path / "conformer" / "model.safetensors"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(InputError, match="is damaged"):
        load_teacher(TeacherConfig(architecture="conformer", model=str(tmp_path / "conformer")))


def test_a_hub_id_that_cannot_be_reached_is_refused(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"distune-tests/absent: teacher\.model: .*hub id that this machine reaches"):
        load_teacher(TeacherConfig(model="distune-tests/absent"))


@pytest.mark.skipif(not (SHIPPED / "config.json").exists(), reason="the small teacher has not been made yet")
def test_without_a_model_the_teacher_is_the_one_that_ships_with_distune():
    teacher = load_teacher(TeacherConfig())
    assert not teacher.fitted
    assert teacher.encode(noise(1))["wav2vec2"].shape == (1, 7, 128)
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 6e6
