"""The platform's teacher checkpoint."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import Wav2Vec2Config, Wav2Vec2Model

from spaces.errors import InputError
from spaces.sections import Teacher as TeacherConfig
from tests.trainables.teachers.conftest import SIZES, noise
from trainables.teachers.base import Teacher
from trainables.teachers.load import load_teacher
from trainables.teachers.platform import infer_config

# Strides are not in a checkpoint, so these are the published ones.
CONFIG = Wav2Vec2Config(**{**SIZES, "hidden_size": 128, "num_attention_heads": 2, "conv_stride": (5, 2, 2)})


class PlatformTeacher(nn.Module):
    """A teacher with the platform's layout: an encoder, and two layers on its last state's mean over time."""

    def __init__(self) -> None:
        super().__init__()
        self.wav2vec2 = Wav2Vec2Model(CONFIG)
        self.classifier = nn.Sequential(nn.Linear(128, 256), nn.ReLU(), nn.Dropout(0.1), nn.Linear(256, 2))

    def forward(self, waveform: Tensor) -> Tensor:
        return self.classifier(self.wav2vec2(waveform).last_hidden_state.mean(dim=1))


@pytest.fixture
def original() -> PlatformTeacher:
    torch.manual_seed(0)
    return PlatformTeacher().eval()


def load(path: Path) -> Teacher:
    return load_teacher(TeacherConfig(model=str(path)))


def check_same(path: Path, original: PlatformTeacher) -> None:
    teacher = load(path)
    assert teacher.fitted
    with torch.inference_mode():
        expected = original(noise(2))
    assert torch.allclose(teacher.classify(teacher.encode(noise(2))), expected, atol=1e-5)


def test_a_checkpoint_gives_the_platforms_logits_on_the_raw_waveform(original, tmp_path):
    torch.save(original.state_dict(), tmp_path / "teacher.pt")
    check_same(tmp_path / "teacher.pt", original)


def test_a_checkpoint_of_its_trainer_is_read_too(original, tmp_path):
    torch.save({"model_state_dict": original.state_dict(), "epoch": 3}, tmp_path / "teacher.pt")
    check_same(tmp_path / "teacher.pt", original)


def test_a_checkpoint_with_the_older_names_of_weight_norm_is_read_too(original, tmp_path):
    weights = {
        key.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): value
        for key, value in original.state_dict().items()
    }
    assert "wav2vec2.encoder.pos_conv_embed.conv.weight_g" in weights
    torch.save(weights, tmp_path / "teacher.pt")
    check_same(tmp_path / "teacher.pt", original)


@pytest.mark.parametrize("large", [False, True])
def test_the_published_configs_follow_from_their_weights_shapes(large):
    config = Wav2Vec2Config()
    if large:
        config = Wav2Vec2Config(
            hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096,
            feat_extract_norm="layer", conv_bias=True, do_stable_layer_norm=True,
        )  # fmt: skip
    with torch.device("meta"):
        weights = Wav2Vec2Model(config).state_dict()
    assert infer_config(weights).to_dict() == config.to_dict()


def test_a_platform_teacher_is_saved_only_once_its_head_is_fitted_anew(original, tmp_path):
    torch.save(original.state_dict(), tmp_path / "teacher.pt")
    with pytest.raises(ValueError, match="call fit_head first"):
        load(tmp_path / "teacher.pt").save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


@dataclass
class Surprise:
    """Something that unpickling would have to run code for."""

    value: int = 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cannot be read as weights"),
        (b"not a checkpoint", "cannot be read as weights"),
        (b"PK\x03\x04 not a zip", "cannot be read as weights"),
        ({"model_state_dict": {}, "config": Surprise()}, "cannot be read as weights"),
        ([1, 2], "is not the platform's Wav2Vec2 teacher"),
        ({"conv1.weight": torch.zeros(2)}, "is not the platform's Wav2Vec2 teacher"),
        ({"model_state_dict": {"wav2vec2.masked_spec_embed": torch.zeros(2)}}, "is not the platform's"),
    ],
)
def test_a_file_that_is_no_teacher_is_refused_by_name_and_key(tmp_path, content, reason):
    path = tmp_path / "teacher.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(InputError) as refusal:
        load(path)
    [fault] = refusal.value.faults
    assert (fault.file, fault.key) == (str(path), "teacher.model")
    assert reason in fault.remedy


def test_a_checkpoint_with_a_weight_missing_is_refused(original, tmp_path):
    weights = original.state_dict()
    del weights["wav2vec2.encoder.layers.1.final_layer_norm.bias"]
    torch.save(weights, tmp_path / "teacher.pt")
    with pytest.raises(InputError, match=r"layers\.1\.final_layer_norm\.bias"):
        load(tmp_path / "teacher.pt")
