"""How large a student is, known before it is trained: parameters, multiply-accumulates, flash as int8."""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from spaces.trial import Model
from trainables.audio.frontend import N_FRAMES, N_MELS
from trainables.students import Student, build_student

BYTES_PER_WEIGHT = 1
# An int32 bias; a float32 scale and an int64 zero point each for the weights and for the bias.
BYTES_PER_CHANNEL = 4 + 2 * (4 + 8)


class UncountedLayerError(ValueError):
    """A layer whose flash is not known."""


@dataclass(frozen=True)
class StudentSize:
    """What a student costs on a device.

    Attributes:
        parameters: all that are trained, batch norm's included.
        macs: multiply-accumulates of convolutions and matrix products for one clip of (1, 1, 64, 151).
        flash_kb: estimate of its constants as int8, in kB of 1024 bytes; see `student_size`.
    """

    parameters: int
    macs: int
    flash_kb: float


@cache
def student_size(model: Model) -> StudentSize:
    """A student's size, from a copy without weights.

    ``flash_kb`` is what TensorFlow Lite stores for a model quantised to integers channel by channel: an int8 a
    weight, and for each output channel an int32 bias, and for both of these a float32 scale and an int64 zero
    point (https://www.tensorflow.org/lite/performance/quantization_spec, and ``QuantizationParameters`` of its
    schema.fbs). Batch norm is folded into the convolution before it. Left out are the graph around the constants,
    about half a kB a layer (with it, 5 % of the 300,568 bytes of person_detect.tflite), and the interpreter.

    Raises:
        UncountedLayerError: the student has parameters in a layer of another kind.
    """
    with torch.device("meta"):
        student = build_student(model).eval()
        clip = torch.empty(1, 1, N_MELS, N_FRAMES)
    layers = _layers_in_order(student)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        student(clip)
    parameters = sum(parameter.numel() for parameter in student.parameters())
    # A multiply-accumulate is two operations there.
    return StudentSize(parameters, counter.get_total_flops() // 2, _flash_bytes(layers) / 1024)


def _layers_in_order(student: Student) -> dict[nn.Module, None]:
    """The layers with parameters of their own, filled in the order in which a forward pass reaches them."""
    reached: dict[nn.Module, None] = {}

    def note(layer: nn.Module, *_: Any) -> None:
        reached.setdefault(layer)

    for layer in student.modules():
        if next(layer.parameters(recurse=False), None) is not None:
            layer.register_forward_hook(note)
    return reached


def _flash_bytes(layers: dict[nn.Module, None]) -> int:
    n_bytes = 0
    for before, layer in pairwise([None, *layers]):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            n_bytes += BYTES_PER_WEIGHT * layer.weight.numel() + BYTES_PER_CHANNEL * layer.weight.shape[0]
        elif not _folds(layer, before):
            raise UncountedLayerError(f"the flash of {layer} is not known; teach it to trainables/size.py")
    return n_bytes


def _folds(layer: nn.Module | None, before: nn.Module | None) -> bool:
    """Whether a layer is a batch norm that the weights and the bias of the convolution before it take in."""
    if not (isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.Conv2d)):
        return False
    return layer.num_features == before.out_channels
