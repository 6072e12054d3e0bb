"""How exactly a teacher computes, and what hangs on it."""

import copy
import pickle

import pytest
import torch

from spaces.errors import InputError
from spaces.sections import Teacher as TeacherConfig
from tests.trainables.recipes import random_encoder
from trainables.teachers.base import Encoder, Teacher
from trainables.teachers.load import load_teacher
from trainables.teachers.precision import native_precision, settle

WAVEFORM = torch.randn(3, 24_000, generator=torch.Generator().manual_seed(0)) / 4


@pytest.mark.parametrize(
    ("wanted", "native", "settled"),
    [
        ("auto", "float32", "float32"),
        ("auto", "bfloat16", "bfloat16"),
        ("auto", "float16", "float16"),
        ("float32", "bfloat16", "float32"),
        ("float16", "bfloat16", "float16"),
    ],
)
def test_auto_is_what_the_device_does_natively_and_the_users_word_goes_before(wanted, native, settled):
    assert settle(TeacherConfig(precision=wanted), native) == settled


@pytest.mark.parametrize("wanted", ["float16", "bfloat16"])
def test_a_half_precision_is_refused_where_the_teacher_runs_on_a_cpu(wanted):
    with pytest.raises(InputError, match=rf"teacher\.precision = '{wanted}': is for GPUs"):
        settle(TeacherConfig(precision=wanted), "float32")


def test_left_alone_a_gpu_computes_in_float16_and_a_cpu_in_float32():
    assert (native_precision(on_gpu=True), native_precision(on_gpu=False)) == ("float16", "float32")


@pytest.mark.parametrize(("precision", "tolerance"), [("bfloat16", 0.02), ("float16", 0.002)])
def test_half_precisions_give_nearly_the_same_states_as_float32(precision, tolerance):
    teacher = load_teacher(TeacherConfig())
    exact = teacher.encode(WAVEFORM)["wav2vec2"]
    rough = teacher.to("cpu", precision).encode(WAVEFORM)["wav2vec2"]
    assert rough.dtype == torch.float32 and not torch.equal(rough, exact)
    assert (rough - exact).square().mean().sqrt() < tolerance * exact.square().mean().sqrt()


def test_the_fingerprint_follows_the_precision_and_moving_keeps_it():
    encoder = random_encoder()
    teacher = Teacher({"wav2vec2": encoder})
    exact = encoder.fingerprint
    assert teacher.to("cpu", "bfloat16").fingerprint != exact
    rough = encoder.fingerprint
    assert rough != exact
    teacher.to("cpu")
    assert encoder.fingerprint == rough


def test_an_encoder_that_was_pickled_is_the_same_encoder():
    encoder = random_encoder()
    encoder.precision = "float16"
    again = pickle.loads(pickle.dumps(encoder))
    assert again.fingerprint == encoder.fingerprint and not again.training
    assert not any(parameter.requires_grad for parameter in again.parameters())
    assert torch.equal(again.encode(WAVEFORM), encoder.encode(WAVEFORM))


def test_copying_an_encoder_leaves_the_random_numbers_of_training_alone():
    encoder, before = random_encoder(), torch.get_rng_state()
    assert copy.deepcopy(encoder).fingerprint == encoder.fingerprint
    assert torch.equal(torch.get_rng_state(), before)


class Small(Encoder):
    """Runs out of memory for more than two clips at once."""

    name, n_layers, dim = "small", 1, 1

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.batches: list[int] = []

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        if len(waveform) > 2:
            raise torch.OutOfMemoryError("full")
        self.batches.append(len(waveform))
        return self.scale * waveform.mean(dim=1).reshape(-1, 1, 1)


def test_a_batch_that_does_not_fit_the_device_is_halved_until_it_does():
    small, waveform = Small(), torch.randn(5, 24_000)
    assert torch.equal(small.encode(waveform).flatten(), waveform.mean(dim=1))
    assert small.batches == [2, 1, 2]
