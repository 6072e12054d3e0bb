"""Every student: size, shapes, registry."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import trainables.students
from spaces.errors import InputError
from spaces.trial import Model, TrialConfig
from trainables.build import seeded_student
from trainables.students import Student, build_student, register_student, student_names
from trainables.students.base import STUDENTS

SIZES = {"tiny_conv": (60_530, 64), "mobilenetv3": (1_519_618, 1024), "resnet18": (11_171_266, 512)}


def test_each_file_of_the_package_is_one_student_of_that_name():
    files = {path.stem for path in Path(trainables.students.__file__).parent.glob("*.py")} - {"__init__", "base"}
    assert set(student_names()) == files == set(SIZES)
    for name in files:
        build_student(Model(architecture=name))
    assert set(STUDENTS) == files


@pytest.mark.slow
def test_a_worker_imports_only_the_student_it_trains():
    program = """
import sys
from spaces.trial import Model
from trainables.students import build_student, student_names
assert "resnet18" in student_names()
build_student(Model(architecture="tiny_conv"))
print([name for name in ("torchvision", "sklearn") if name in sys.modules])
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


@pytest.mark.parametrize("name", SIZES)
def test_a_student_has_the_platforms_parameters_and_embedding(name):
    n_parameters, embed_dim = SIZES[name]
    student = build_student(Model(architecture=name)).eval()
    assert sum(parameter.numel() for parameter in student.parameters()) == n_parameters
    mel = torch.randn(2, 1, 64, 151)
    embedding = student.embed(mel)
    assert embedding.shape == (2, embed_dim) and student.embed_dim == embed_dim
    assert torch.equal(student(mel), student.classify(embedding))
    assert student(mel).shape == (2, 2)


@pytest.mark.parametrize("name", SIZES)
def test_a_students_dropout_is_the_trials(name):
    student = build_student(Model(architecture=name, dropout=0.35))
    rates = {module.p for module in student.modules() if isinstance(module, nn.Dropout | nn.Dropout2d)}
    assert rates == {0.35}


@pytest.mark.parametrize("name", SIZES)
def test_a_last_batch_of_one_clip_can_be_trained_on(name):
    student = build_student(Model(architecture=name)).train()
    assert student(torch.randn(1, 1, 64, 151)).isfinite().all()


def test_tiny_conv_with_the_platforms_wide_channels_has_its_wide_size():
    student = build_student(Model(tcn_num_channels=(64, 128, 256)))
    assert sum(parameter.numel() for parameter in student.parameters()) == 370_626
    assert student.embed_dim == 256


def test_initial_weights_follow_from_the_seed_alone():
    first, again = (seeded_student(TrialConfig(seed=3)).state_dict() for _ in range(2))
    other = seeded_student(TrialConfig(seed=4)).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["classifier.1.weight"], other["classifier.1.weight"])


def test_an_unknown_student_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"model\.architecture = 'tiny_con': is not a student.*'tiny_conv'"):
        build_student(Model(architecture="tiny_con"))


def test_a_newcomer_registers_with_one_class(monkeypatch):
    monkeypatch.setattr("trainables.students.base.STUDENTS", known := dict(STUDENTS))

    @register_student("average")
    class Average(Student):
        embed_dim = 1

        def embed(self, mel: Tensor) -> Tensor:
            return mel.mean(dim=(2, 3))

        def classify(self, embedding: Tensor) -> Tensor:
            return torch.cat([-embedding, embedding], dim=1)

    assert known["average"] is Average and "average" in student_names()
    logits = build_student(Model(architecture="average"))(torch.full((1, 1, 64, 151), 2.0))
    assert logits.tolist() == [[-2.0, 2.0]]
    with pytest.raises(ValueError, match="already"):
        register_student("average")(Average)
