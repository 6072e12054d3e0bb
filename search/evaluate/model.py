"""The model that is evaluated, whatever form it has: kept weights, a packaged folder, an ONNX file."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import safetensors
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from spaces.errors import Fault, InputError
from spaces.trial import TrialConfig
from trainables.audio.frontend import CLIP_SAMPLES, N_FRAMES, N_MELS
from trainables.kept import WEIGHTS_FILE
from trainables.stream.judge import Judge, probabilities, student_judge
from trainables.students import build_student

if TYPE_CHECKING:
    import onnxruntime

ARGUMENT = "MODEL"
PACKAGE_FILE = "package.json"
SHAPES = {2: (CLIP_SAMPLES,), 4: (1, N_MELS, N_FRAMES)}
FORMS = "give a packaged folder, an .onnx file, or kept weights (.safetensors, or their folder)"


@dataclass(frozen=True)
class Model:
    """A model that can be evaluated.

    Attributes:
        threshold: that it ships with, if it does.
    """

    path: Path
    judge: Judge
    threshold: float | None = None


def load_model(path: Path) -> Model:
    """A model on the CPU.

    Of a folder its weights, ``student.safetensors``, are taken; name one of its ONNX files to evaluate that.

    Raises:
        InputError: no such file, nothing to evaluate in it, or the extra ``export`` is needed and missing.
    """
    if path.is_dir():
        return Model(path, _weights_judge(_weights_in(path)), _threshold_of(path))
    if path.suffix == ".onnx" and path.is_file():
        return Model(path, _onnx_judge(path), _threshold_of(path.parent))
    if path.suffix == ".safetensors" and path.is_file():
        return Model(path, _weights_judge(path), _threshold_of(path.parent))
    _refuse(path, f"is no model; {FORMS}" if path.exists() else f"no such file or folder; {FORMS}")


def _weights_in(folder: Path) -> Path:
    if (folder / WEIGHTS_FILE).is_file():
        return folder / WEIGHTS_FILE
    found = sorted(folder.glob("*.safetensors"))
    if len(found) != 1:
        held = "several .safetensors files, none of them" if found else "no"
        _refuse(folder, f"holds {held} {WEIGHTS_FILE}; name the file of the student's weights")
    return found[0]


def _threshold_of(folder: Path) -> float | None:
    """The threshold in a packaged folder's ``package.json``, if that is what it is."""
    file = folder / PACKAGE_FILE
    if not file.is_file():
        return None
    try:
        return float(json.loads(file.read_text(encoding="utf-8"))["threshold"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(Fault(str(file), "threshold", None, f"is no number ({error}); mend it")) from error


def _weights_judge(file: Path) -> Judge:
    try:
        with safe_open(file, "pt") as opened:
            told = opened.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(Fault(str(file), ARGUMENT, None, f"cannot be read as weights: {error}")) from error
    if "trial" not in told:
        _refuse(file, "does not say which student it is of (metadata `trial`); only weights that distune kept do")
    student = build_student(TrialConfig.from_flat(json.loads(told["trial"])).model)
    try:
        student.load_state_dict(load_file(file))
    except RuntimeError as error:
        raise InputError(Fault(str(file), ARGUMENT, None, f"does not fit its own trial: {error}")) from error
    return student_judge(student)


def _onnx_judge(file: Path) -> Judge:
    """An ONNX model: one input, clips (batch, 24000) or log-mels (batch, 1, 64, 151); logits (batch, classes) out."""
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as faults
    except ImportError as error:
        remedy = 'needs onnxruntime; pip install "distune[export]"'
        raise InputError(Fault(str(file), ARGUMENT, None, remedy)) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    # They have no class in common.
    except (
        faults.Fail,
        faults.InvalidArgument,
        faults.InvalidGraph,
        faults.InvalidProtobuf,
        faults.NotImplemented,
        faults.RuntimeException,
    ) as error:
        raise InputError(Fault(str(file), ARGUMENT, None, f"cannot be loaded by onnxruntime: {error}")) from error
    inputs = session.get_inputs()
    shape = inputs[0].shape
    if len(inputs) != 1 or not _fits(shape[1:], SHAPES.get(len(shape))):
        shapes = [tuple(each.shape) for each in inputs]
        _refuse(file, f"takes {shapes}; a wake-word model takes (batch, 24000) samples or (batch, 1, 64, 151) log-mels")
    score = _OnnxScore(session, shape[0] if isinstance(shape[0], int) else None)
    return Judge(score, "audio" if len(shape) == 2 else "mel")


def _fits(shape: Iterable[Any], wanted: tuple[int, ...] | None) -> bool:
    """Whether a shape is the one wanted, as far as it is fixed."""
    found = tuple(shape)
    if wanted is None or len(found) != len(wanted):
        return False
    return all(size == want or not isinstance(size, int) for size, want in zip(found, wanted, strict=True))


class _OnnxScore:
    """Scores batches by a session, in the batches that it takes."""

    def __init__(self, session: "onnxruntime.InferenceSession", batch_size: int | None) -> None:
        self._session, self._batch_size = session, batch_size
        self._name = session.get_inputs()[0].name

    def __call__(self, batch: Tensor) -> NDArray[np.float64]:
        size = self._batch_size or len(batch)
        found = []
        for part in batch.split(size):
            # A model of fixed batches gets a full one.
            filled = torch.cat([part, part[:1].expand(size - len(part), *part.shape[1:])])
            logits = self._session.run(None, {self._name: filled.numpy()})[0]
            found.append(probabilities(torch.from_numpy(logits))[: len(part)])
        return np.concatenate(found)


def _refuse(path: Path, remedy: str) -> NoReturn:
    raise InputError(Fault(str(path), ARGUMENT, None, remedy))
