"""Weights, checkpoints and models from strangers: whatever a file says, reading it runs nothing."""

import json
import pickle
from pathlib import Path

import pytest
import torch

from spaces.errors import InputError
from spaces.sections import Teacher as TeacherConfig
from tests.trainables.hostile import Payload
from tests.trainables.teachers.conftest import CONFIGS, random_model, saved
from trainables.build import read_checkpoint
from trainables.teachers.load import load_teacher


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """Is there after a payload ran."""
    return tmp_path / "mark"


def refused(model: Path) -> str:
    with pytest.raises(InputError) as refusal:
        load_teacher(TeacherConfig(model=str(model)))
    (fault,) = refusal.value.faults
    assert (fault.file, fault.key) == (str(model), "teacher.model")
    return fault.remedy


def test_the_payload_runs_where_it_is_unpickled(mark):
    pickle.loads(pickle.dumps(Payload(mark)))
    assert mark.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_of_the_platform_runs_nothing(tmp_path, mark, zipped):
    file = tmp_path / "teacher.pt"
    torch.save({"model_state_dict": Payload(mark)}, file, _use_new_zipfile_serialization=zipped)
    assert "cannot be read as weights" in refused(file)
    assert not mark.exists()


def test_a_teachers_weights_that_are_no_safetensors_run_nothing(tmp_path, mark):
    folder = Path(saved(tmp_path / "teacher", random_model(CONFIGS["wav2vec2"])))
    (folder / "model.safetensors").unlink()
    torch.save({"evil": Payload(mark)}, folder / "pytorch_model.bin")
    assert "its weights file holds more than weights, which is never run" in refused(folder)
    assert not mark.exists()


def test_safetensors_go_before_weights_that_can_hold_code(tmp_path, mark):
    folder = Path(saved(tmp_path / "teacher", random_model(CONFIGS["wav2vec2"])))
    torch.save({"evil": Payload(mark)}, folder / "pytorch_model.bin")
    assert load_teacher(TeacherConfig(model=str(folder))).members
    assert not mark.exists()


def test_code_that_comes_with_a_model_is_not_run(tmp_path, mark):
    folder = Path(saved(tmp_path / "teacher", random_model(CONFIGS["wav2vec2"])))
    classes = "from transformers import Wav2Vec2Config as Config, Wav2Vec2Model as Model"
    (folder / "evil.py").write_text(f"import os\nos.mkdir({str(mark)!r})\n{classes}\n")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    assert refused(folder).startswith("comes with code of its own, which is never run")
    assert not mark.exists()


def test_a_trials_checkpoint_runs_nothing(tmp_path, mark):
    torch.save({"student": Payload(mark)}, tmp_path / "run.pt")
    with pytest.raises(pickle.UnpicklingError):
        read_checkpoint(tmp_path)
    assert not mark.exists()
