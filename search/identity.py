"""What makes a sweep the one that was recorded under its name: only comparable trials stand in one record."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import optuna

from spaces.errors import Fault, refuse
from spaces.space import Space
from spaces.sweep import SweepConfig

ATTRIBUTE = "identity"


@dataclass(frozen=True)
class Identity:
    """What all trials of a student's study have in common."""

    data_and_teacher: str
    objective: dict[str, Any]
    space: dict[str, Any]
    epochs: int

    @classmethod
    def of(cls, sweep: SweepConfig, student: str, space: Space, fingerprint: str) -> Self:
        """``fingerprint`` is of the corpus and its logits."""
        objective = sweep.objective.model_dump(mode="json")
        return cls(fingerprint, objective, space.model_dump(mode="json"), sweep.epochs_of(student))


def claim(studies: Mapping[str, optuna.Study], identities: Mapping[str, Identity], journal: Path) -> None:
    """Note each study's identity, or compare it with the one noted.

    Raises:
        InputError: what changed, of all students.
    """
    faults = []
    for student, study in studies.items():
        current = json.loads(json.dumps(asdict(identities[student])))
        recorded = study.user_attrs.get(ATTRIBUTE, current)
        for what in current:
            if recorded[what] != current[what]:
                told = what.replace("_", " ")
                undo = "choose another name with --name, or undo the change"
                remedy = f"the {told} changed since this sweep began; {undo}"
                faults.append(Fault(str(journal), f"{student}.{told}", None, remedy))
        study.set_user_attr(ATTRIBUTE, recorded)
    refuse(faults)
