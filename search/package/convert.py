"""A student as ONNX: from log-mel, from raw audio, and from log-mel in 8-bit integers.

All three take a batch of any size and give ``logits`` (batch, classes), the wake word last; ``softmax(logits)[-1]``
is its probability. The input is named ``log_mel``, (batch, 1, 64, 151), or ``audio``, (batch, 24000): 1.5 s at 16 kHz,
of any level.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from torch import Tensor, nn

from search.package.frontend import AudioFrontEnd
from trainables.audio.frontend import CLIP_SAMPLES, N_FRAMES, N_MELS

AUDIO, LOG_MEL, LOGITS = "audio", "log_mel", "logits"
OPSET = 18
N_EXAMPLES = 2  # torch.export would take a batch of one for a batch that is always one
CALIBRATION_BATCH = 20


def log_mel_model(student: nn.Module) -> onnx.ModelProto:
    """``log_mel`` -> ``logits`` in float, batch norm folded into the convolutions.

    Args:
        student: in evaluation mode, on the CPU.
    """
    return _exported(student, torch.zeros(N_EXAMPLES, 1, N_MELS, N_FRAMES), LOG_MEL, LOGITS)


def with_front_end(student: onnx.ModelProto) -> onnx.ModelProto:
    """``audio`` -> ``logits``: the front-end before a model that takes ``log_mel``."""
    front_end = _exported(AudioFrontEnd(), torch.zeros(N_EXAMPLES, CLIP_SAMPLES), AUDIO, LOG_MEL)
    named = onnx.compose.add_prefix(front_end, "front_end/", rename_inputs=False, rename_outputs=False)
    return onnx.compose.merge_models(named, student, io_map=[(LOG_MEL, LOG_MEL)])


def write_int8(model: Path, calibration: NDArray[np.float32], path: Path) -> None:
    """A model that takes ``log_mel`` as int8: weights channel by channel, activations by the range that clips show.

    Static quantisation with the operators between QuantizeLinear and DequantizeLinear, as ONNX Runtime and converters
    to devices read it.

    Args:
        calibration: (clips, 1, 64, 151), of the training split.
    """
    quantize_static(
        str(model),
        str(path),
        _Clips(calibration),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
    )


def save(model: onnx.ModelProto, path: Path, told: Mapping[str, str]) -> None:
    """Write a model that ONNX's checker accepts, with what it is among its metadata."""
    onnx.helper.set_model_props(model, dict(told))
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _exported(module: nn.Module, example: Tensor, takes: str, gives: str) -> onnx.ModelProto:
    with warnings.catch_warnings():
        # Of torch's own deprecations, which nobody here can act on.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(),
            (example,),
            input_names=[takes],
            output_names=[gives],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None  # with dynamo, a program
    return program.model_proto


class _Clips(CalibrationDataReader):
    """Calibration clips in batches."""

    def __init__(self, mels: NDArray[np.float32]) -> None:
        self._batches = iter(np.array_split(mels, -(-len(mels) // CALIBRATION_BATCH)))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {LOG_MEL: batch}
