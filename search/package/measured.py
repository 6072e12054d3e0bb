"""What was measured of a packaged student, as the card tells it and ``package.json`` holds it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from search.package.confirmed import ConfirmedStudent
from search.package.memory import BOARDS, SizeTarget
from search.package.onnx_student import Latency
from search.package.parity import FloatParity, Int8Parity
from trainables.intervals import Estimate
from trainables.size import StudentSize

VERSION = 1  # of package.json; raise it when a reader of the old would misread the new
PACKAGES = ("distune", "torch", "onnx", "onnxruntime")


@dataclass(frozen=True)
class Measured:
    """Everything about a package that is a number.

    Attributes:
        threshold: chosen on validation clips: a clip is accepted above it.
        fpr: the share of validation's other clips that it was allowed to accept.
        float_, int8: of the shipped run on test clips, at the threshold; see `search.package.figures.figures`.
        latency: file to what a clip takes.
        n_bytes: file to its size.
        ram_kb: of int8 activations, an estimate.
        same_clips: whether the clips are those of the sweep; ``None`` where it did not note which these were.
        by_speaker: whether the bootstrap drew speakers.
        machine: where latency was measured.
    """

    threshold: float
    fpr: float
    float_: Mapping[str, Estimate]
    int8: Mapping[str, Estimate]
    parity: FloatParity
    int8_parity: Int8Parity
    latency: Mapping[str, Latency]
    n_bytes: Mapping[str, int]
    size: StudentSize
    ram_kb: float
    counts: Mapping[str, Mapping[str, int]]
    same_clips: bool | None
    by_speaker: bool
    machine: str

    def as_json(self, shipped: ConfirmedStudent) -> dict[str, Any]:
        """``package.json``."""
        needed = SizeTarget.needed(self.size.flash_kb, self.ram_kb)
        return {
            "version": VERSION,
            "student": shipped.best.student,
            "sweep": shipped.sweep.name,
            "trial_number": shipped.best.number,
            "seed": shipped.seed,
            "trial": shipped.best.config.flat(),
            "clips": shipped.facts.get("clips", {}).get("fingerprint"),
            "teacher": shipped.facts.get("teacher", {}).get("fingerprint"),
            "threshold": self.threshold,
            "threshold_fpr": self.fpr,
            "test": {name: asdict(figure) for name, figure in self.float_.items()},
            "test_int8": {name: asdict(figure) for name, figure in self.int8.items()},
            "parity": asdict(self.parity),
            "int8": asdict(self.int8_parity) | {"within_a_point": self.int8_parity.within},
            "latency": {file: latency.as_json() for file, latency in self.latency.items()},
            "machine": self.machine,
            "size": asdict(self.size) | {"ram_kb": self.ram_kb},
            "size_targets": asdict(needed),
            "boards": {name: board.holds(self.size.flash_kb, self.ram_kb) for name, board in BOARDS.items()},
            "packages": {name: metadata.version(name) for name in PACKAGES},
        }
