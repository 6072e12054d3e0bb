"""What parity lets pass, what int8 is told to cost, and that every student converts."""

from math import nan
from pathlib import Path

import numpy as np
import pytest
import torch

from search.package.convert import log_mel_model, save, with_front_end
from search.package.memory import activation_kb
from search.package.onnx_student import OnnxStudent
from search.package.parity import FloatParity, Int8Parity, ParityError, SplitScores, int8_parity
from spaces.trial import Model
from trainables.audio.frontend import LogMel, levelled
from trainables.students import build_student, student_names


@pytest.mark.parametrize(("log_mel", "audio", "largest"), [(2e-4, 0.0, 1.0), (0.0, 2e-4, 0.1), (nan, 0.0, 1.0)])
def test_more_than_a_ten_thousandth_is_refused(log_mel: float, audio: float, largest: float) -> None:
    with pytest.raises(ParityError, match="cannot be trusted"):
        FloatParity(log_mel, audio, largest, 8).check()


def test_less_than_that_passes() -> None:
    FloatParity(9e-5, 9e-5, 3.0, 8).check()


def scores(*wake: float, others: int = 20) -> SplitScores:
    labels = np.array([1] * len(wake) + [0] * others)
    return SplitScores(
        np.linspace(1, 0, len(labels)), np.array([*wake, *np.linspace(0.5, 0, others)]), labels, [None] * len(labels)
    )


def test_int8_that_ranks_alike_is_within_a_point_and_one_that_does_not_is_told_of() -> None:
    alike = int8_parity(scores(0.9, 0.8), scores(0.9, 0.8), 0.7)
    assert alike.within and "more than one point" not in str(alike)
    worse = int8_parity(scores(0.9, 0.8), scores(0.9, 0.1), 0.7)
    assert not worse.within and worse.test_float == 1.0 and worse.val_int8 == 1.0
    assert "more than one point is lost" in str(worse) and "few clips" in str(worse)
    assert worse.pair_points == pytest.approx(100 / (0.1 * 20 * 2))


def test_a_loss_on_either_split_counts_and_a_point_itself_does_not() -> None:
    assert Int8Parity(0.90, 0.8901, 0.90, 0.95, 1.0, 0.1).within
    assert not Int8Parity(0.90, 0.95, 0.90, 0.889, 1.0, 0.1).within


@pytest.mark.slow
@pytest.mark.parametrize("name", student_names())
def test_every_student_converts_and_says_what_it_says_in_torch(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    student = build_student(Model(architecture=name))
    audio = 0.1 * torch.randn(6, 24_000).numpy()
    mel = LogMel()(torch.from_numpy(np.stack([levelled(clip) for clip in audio])))
    with torch.inference_mode():
        for _ in range(5):  # batch norm as after training: with averages of its own
            student.train()(mel)
        expected = student.eval()(mel).numpy()
    model = log_mel_model(student)
    assert 1 < activation_kb(model) < 2048
    save(with_front_end(model), tmp_path / "audio.onnx", {"student": name})
    told = OnnxStudent(tmp_path / "audio.onnx").logits(audio)
    assert np.abs(told - expected).max() < 1e-4


def test_every_student_is_among_those_that_convert() -> None:
    assert {"tiny_conv", "mobilenetv3", "resnet18"} <= set(student_names())
