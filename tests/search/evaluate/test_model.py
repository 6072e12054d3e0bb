"""Models in all their forms, and what is no model."""

import builtins
import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from search.evaluate.model import load_model
from spaces.errors import InputError
from tests.search.evaluate.conftest import OTHER_HERTZ, WORD_HERTZ, tone
from trainables.audio.frontend import LogMel, centred


@pytest.fixture
def few() -> np.ndarray:
    return np.stack([centred(tone(hertz, 1.0, seed)) for hertz in (WORD_HERTZ, OTHER_HERTZ) for seed in range(10)])


class WithFrontEnd(torch.nn.Module):
    def __init__(self, student):
        super().__init__()
        self.mel, self.student = LogMel(), student

    def forward(self, audio):
        return self.student(self.mel(audio))


def refused(path) -> str:
    with pytest.raises(InputError) as error:
        load_model(path)
    (fault,) = error.value.faults
    return str(fault)


def test_kept_weights_are_a_model_by_folder_and_by_file(weights, few):
    scores = load_model(weights).judge.score_clips(few)
    assert scores[:10].min() > 0.7 and scores[10:].max() < 0.2
    assert np.array_equal(load_model(weights / "student.safetensors").judge.score_clips(few), scores)


@pytest.mark.parametrize("batch", [None, 1, 8])
def test_an_onnx_file_is_a_model_whatever_batch_it_takes(weights, student, few, tmp_path, batch):
    pytest.importorskip("onnxruntime")
    dynamic = ({0: torch.export.Dim("batch")},) if batch is None else None
    example = (torch.zeros(batch or 2, 1, 64, 151),)
    torch.onnx.export(student, example, tmp_path / "m.onnx", dynamo=True, dynamic_shapes=dynamic, verbose=False)
    model = load_model(tmp_path / "m.onnx")
    assert model.judge.hears == "mel"
    assert model.judge.score_clips(few) == pytest.approx(load_model(weights).judge.score_clips(few), abs=1e-5)


def test_an_onnx_file_with_the_front_end_inside_hears_audio(weights, student, few, tmp_path):
    pytest.importorskip("onnxruntime")
    program = torch.onnx.export(WithFrontEnd(student).eval(), (torch.zeros(2, 24_000),), dynamo=True, verbose=False)
    program.save(tmp_path / "m.onnx")
    model = load_model(tmp_path / "m.onnx")
    assert model.judge.hears == "audio"
    assert model.judge.score_clips(few) == pytest.approx(load_model(weights).judge.score_clips(few), abs=1e-3)


def test_the_threshold_that_a_model_ships_with_is_its_own(weights):
    assert load_model(weights).threshold is None
    (weights / "package.json").write_text(json.dumps({"threshold": 0.62}))
    assert load_model(weights).threshold == load_model(weights / "student.safetensors").threshold == 0.62
    (weights / "package.json").write_text("{}")
    assert "package.json: threshold: is no number" in refused(weights)


def test_without_onnxruntime_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "m.onnx").write_bytes(b"")
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name.startswith("onnxruntime"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    assert refused(tmp_path / "m.onnx").endswith('MODEL: needs onnxruntime; pip install "distune[export]"')


def test_what_is_no_model_is_refused(tmp_path, weights):
    assert "no such file or folder; give a packaged folder" in refused(tmp_path / "gone")
    (tmp_path / "notes.txt").write_text("")
    assert "is no model; give a packaged folder" in refused(tmp_path / "notes.txt")
    (tmp_path / "empty").mkdir()
    assert "holds no student.safetensors" in refused(tmp_path / "empty")
    (tmp_path / "bad.safetensors").write_text("no weights")
    assert "cannot be read as weights" in refused(tmp_path / "bad.safetensors")
    save_file({"weight": torch.zeros(2)}, tmp_path / "plain.safetensors")
    assert "does not say which student it is of" in refused(tmp_path / "plain.safetensors")
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors", metadata={"trial": "{}"})
    assert "does not fit its own trial" in refused(tmp_path / "other.safetensors")


def test_an_onnx_file_that_is_damaged_or_of_something_else_is_refused(tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "m.onnx").write_bytes(b"no graph")
    assert "cannot be loaded by onnxruntime" in refused(tmp_path / "m.onnx")
    torch.onnx.export(
        torch.nn.Linear(3, 2).eval(), (torch.zeros(2, 3),), tmp_path / "n.onnx", dynamo=True, verbose=False
    )
    assert "a wake-word model takes (batch, 24000) samples" in refused(tmp_path / "n.onnx")
