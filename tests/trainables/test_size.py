"""What a student's size is, by numbers that can be checked by hand."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from spaces.trial import Model
from trainables.size import UncountedLayerError, student_size
from trainables.students import Student, register_student, student_names
from trainables.students.base import STUDENTS

PARAMETERS = {"tiny_conv": 60_530, "mobilenetv3": 1_519_618, "resnet18": 11_171_266}
# The person detector that ships with TensorFlow Lite for Microcontrollers.
PERSON_DETECT_BYTES = 300_568


@pytest.fixture
def student():
    """Register a student of one module, for one test."""
    names = []

    def register(features: nn.Module) -> Model:
        class Registered(Student):
            embed_dim = 1

            def __init__(self, model: Model) -> None:
                super().__init__(model)
                self.features = features.to("meta")

            def embed(self, mel: Tensor) -> Tensor:
                return self.features(mel)

            def classify(self, embedding: Tensor) -> Tensor:
                return embedding

        names.append(f"for_one_test_{len(names)}")
        register_student(names[-1])(Registered)
        return Model(architecture=names[-1])

    yield register
    for name in names:
        del STUDENTS[name]
    student_size.cache_clear()


@pytest.mark.parametrize("name", student_names())
def test_every_student_has_its_parameters_and_a_byte_for_each_weight(name):
    size = student_size(Model(architecture=name))
    assert size.parameters == PARAMETERS[name]
    # Over a byte a parameter by biases, scales and zero points, under it by the batch norms that are folded.
    assert 0.99 < 1024 * size.flash_kb / size.parameters < 1.3


def test_tiny_convs_size_is_that_of_its_layers():
    size = student_size(Model(tcn_num_channels=(16, 32, 64, 64)))
    weights = 9 * (1 * 16 + 16 * 32 + 32 * 64 + 64 * 64)
    assert size.parameters == weights + 2 * (16 + 32 + 64 + 64) + (64 * 2 + 2)
    # 64 mels and 151 frames, halved three times; the last block keeps 8 and 19.
    positions = 32 * 76, 16 * 38, 8 * 19, 8 * 19
    products = 1 * 16, 16 * 32, 32 * 64, 64 * 64
    assert size.macs == sum(9 * n * product for n, product in zip(positions, products, strict=True)) + 64 * 2
    assert 1024 * size.flash_kb == (weights + 64 * 2) + 28 * (16 + 32 + 64 + 64 + 2)


def test_twice_as_wide_is_about_four_times_as_large():
    wide, narrow = (student_size(Model(tcn_num_channels=channels)) for channels in ((32, 64, 128), (16, 32, 64)))
    assert 3.5 < wide.parameters / narrow.parameters < 4
    assert 3 < wide.macs / narrow.macs < 4


def test_the_estimate_is_a_twentieth_under_a_file_that_ships(student):
    """MobileNetV1 at a quarter of its width, two classes."""

    def block(n_in: int, n_out: int, size: int, groups: int = 1) -> list[nn.Module]:
        return [nn.Conv2d(n_in, n_out, size, padding=size // 2, groups=groups, bias=False), nn.BatchNorm2d(n_out)]

    widths = 8, 16, 32, 32, 64, 64, *[128] * 6, 256, 256
    layers = block(1, 8, 3)
    for n_in, n_out in pairwise(widths):
        layers += block(n_in, n_in, 3, groups=n_in) + block(n_in, n_out, 1)
    layers += [nn.AdaptiveAvgPool2d(1), nn.Conv2d(256, 2, 1)]
    assert 0.94 < 1024 * student_size(student(nn.Sequential(*layers))).flash_kb / PERSON_DETECT_BYTES < 0.96


def test_a_size_is_known_without_weights_and_without_drawing_random_numbers():
    before = torch.random.get_rng_state()
    student_size.cache_clear()
    student_size(Model())
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    "features",
    [
        nn.Sequential(nn.Flatten(2), nn.GRU(64 * 151, 2)),
        nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 2, 3)),  # before the convolution there is nothing to fold into
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.LayerNorm(149)),
    ],
    ids=["recurrence", "batch norm first", "layer norm"],
)
def test_a_layer_whose_flash_is_not_known_is_refused(student, features):
    with pytest.raises(UncountedLayerError, match=r"the flash of .* is not known; teach it to trainables/size\.py"):
        student_size(student(features))
