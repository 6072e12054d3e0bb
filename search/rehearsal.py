"""Drawing some trials before the first: rules between keys show in whole trials alone."""

import random
from typing import Any

import pydantic

from spaces.errors import Fault, faults_of
from spaces.space import Space
from spaces.sweep import SweepConfig

N_DRAWS = 64


class _Corners:
    """Suggests ends of ranges, and numbers between them where any number is allowed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        return self._random.choice((low, high) if step else (low, high, self._random.uniform(low, high)))

    def suggest_int(self, name: str, low: int, high: int, *, log: bool) -> int:
        return self._random.choice((low, high))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._random.choice(choices)


def rehearsal_faults(sweep: SweepConfig, student: str, space: Space, n_layers: int) -> list[Fault]:
    """What is wrong with trials of the space in this sweep, each fault once.

    Args:
        n_layers: of the deepest teacher.
    """
    faults: dict[tuple[str, str], Fault] = {}
    for seed in range(N_DRAWS):
        try:
            sweep.trial_config(student, space.suggest(_Corners(seed), n_layers), number=0)
        except pydantic.ValidationError as error:
            for fault in faults_of(error, sweep.name, f"students.{student}"):
                faults.setdefault((fault.key, fault.remedy), fault)
    return list(faults.values())
