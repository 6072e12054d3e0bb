"""The confirmed student that is to ship, with what is kept of its run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from search.confirm.results import Arm, Confirmation
from search.home import SweepFolder
from search.record.results import BestTrial, SweepResults, no_such_student
from spaces.errors import COMMAND_LINE, Fault, InputError
from spaces.sweep import SweepConfig
from trainables.kept import WEIGHTS_FILE
from trainables.students import Student, build_student


@dataclass(frozen=True)
class ConfirmedStudent:
    """The winner's best run by validation.

    Attributes:
        best: the run, under the number of the trial that it confirms.
        kept: folder with its weights.
        facts: what the sweep's trials shared.
    """

    sweep: SweepConfig
    best: BestTrial
    found: Confirmation
    winner: Arm
    kept: Path
    facts: Mapping[str, Any]

    @classmethod
    def find(cls, folder: SweepFolder, student: str | None) -> "ConfirmedStudent":
        """That of a sweep.

        Args:
            student: whose; by default the best of those confirmed.

        Raises:
            InputError: no such sweep or student, none confirmed, or nothing kept of it.
        """
        results = SweepResults.read(folder)
        name = folder.path.name
        if student is not None and student not in results.sweep.students:
            raise InputError(no_such_student(results.sweep, student))
        best = results.to_export(student)
        if best is None or best.confirmation is None or best.confirmation.winner is None:
            which = f"{student} is not" if student else "no student is"
            remedy = f"{which} confirmed yet; run: distune confirm {name}"
            raise InputError(Fault(COMMAND_LINE, "NAME", name, remedy))
        found, winner = best.confirmation, best.confirmation.winner
        kept = folder.confirmed_run(best.student, winner.numbers[found.best_seed(winner)])
        if not (kept / WEIGHTS_FILE).is_file():
            remedy = (
                "is not there, so there is nothing to package; it is kept as a run of confirming ends, so sweep anew "
                "under another name (--name)"
            )
            raise InputError(Fault(str(kept / WEIGHTS_FILE), "", None, remedy))
        return cls(results.sweep, best, found, winner, kept, results.facts)

    @property
    def weights(self) -> Path:
        return self.kept / WEIGHTS_FILE

    @property
    def seed(self) -> int:
        return self.best.config.seed

    def build(self) -> Student:
        """The student with its weights, in evaluation mode."""
        student = build_student(self.best.config.model)
        student.load_state_dict(load_file(self.weights))
        return student.eval()
