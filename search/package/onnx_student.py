"""An ONNX student that runs on one core, as on a device, and how long it takes there."""

import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from trainables.audio.frontend import CLIP_SECONDS

BATCH = 32
N_WARM_UP, N_TIMED = 5, 50
STRIDE_SECONDS = 0.1
CPU_INFO = Path("/proc/cpuinfo")


class OnnxStudent:
    """An ONNX file on one core.

    Attributes:
        takes: name of its input, ``audio`` or ``log_mel``.
    """

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.takes: str = self._session.get_inputs()[0].name

    def logits(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """(clips, 24000) or (clips, 1, 64, 151), as it takes -> (clips, classes)."""
        batches = np.array_split(inputs, -(-len(inputs) // BATCH))
        return np.concatenate([self._session.run(None, {self.takes: batch})[0] for batch in batches])

    def scores(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """(clips,) probabilities of the wake word."""
        return probabilities(self.logits(inputs))


def probabilities(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """(clips, classes) -> (clips,) softmax of the last class, in double precision."""
    raised = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return raised[:, -1] / raised.sum(axis=1)


@dataclass(frozen=True)
class Latency:
    """How long a clip of 1.5 s takes on one core.

    Attributes:
        median_ms, slowest_ms: the latter is the 95th percentile.
        real_time_factor: of windows one after another: seconds of work a second of audio.
        streaming_factor: the same of a window each 0.1 s, computed whole each time.
    """

    median_ms: float
    slowest_ms: float
    real_time_factor: float
    streaming_factor: float

    def as_json(self) -> dict[str, float]:
        return asdict(self)


def measure(student: OnnxStudent, clip: NDArray[np.float32]) -> Latency:
    """Time one clip, again and again, after a few that do not count.

    Args:
        clip: a batch of one, of what the student takes.
    """
    for _ in range(N_WARM_UP):
        student.logits(clip)
    seconds = []
    for _ in range(N_TIMED):
        start = time.perf_counter()
        student.logits(clip)
        seconds.append(time.perf_counter() - start)
    typical = median(seconds)
    slowest = float(np.percentile(seconds, 95))
    return Latency(1000 * typical, 1000 * slowest, typical / CLIP_SECONDS, typical / STRIDE_SECONDS)


def machine() -> str:
    """Where this runs: the processor, how many cores it has, what runs the model."""
    lines = CPU_INFO.read_text(encoding="utf-8").splitlines() if CPU_INFO.exists() else []
    names = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    processor = ", ".join(sorted(names)) or platform.machine()
    return f"one of {os.cpu_count()} cores ({processor}), ONNX Runtime {onnxruntime.__version__}"
