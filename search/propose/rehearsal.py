"""The students' search spaces, loaded and rehearsed: some trials are drawn before the first is run.

Rules between keys, and layers that the teacher lacks, show in whole trials alone; once Ray runs, it is too late.
"""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pydantic

from search.propose.sizes import drawn_sizes, extreme_sizes
from spaces.errors import Fault, InputError, faults_of
from spaces.layers import DEEPEST_LAYER
from spaces.parameters import Widths
from spaces.space import LAYERS, SHIPPED_SPACES, Space
from spaces.sweep import SweepConfig
from trainables.corpus.store import check_layers
from trainables.size import UncountedLayerError
from trainables.students import student_names
from trainables.teachers.base import Teacher

N_DRAWS = 64
FOR_ANY_STUDENT = "quickstart"


def load_spaces(sweep: SweepConfig, teacher: Teacher | None, faults: list[Fault]) -> dict[str, Space]:
    """Each student's space with its fixed keys; what is wrong with one is added to ``faults``.

    Args:
        teacher: whose layers bound the search; ``None`` where it could not be loaded.
    """
    n_layers = {name: member.n_layers for name, member in teacher.members.items()} if teacher else {"": DEEPEST_LAYER}
    spaces: dict[str, Space] = {}
    for student, settings in sweep.students.items():
        key = f"students.{student}"
        if student not in student_names():
            remedy = f"is no student; choose among {', '.join(student_names())}"
            faults.append(Fault(sweep.name, key, student, remedy))
            continue
        own_space = student if student in SHIPPED_SPACES else FOR_ANY_STUDENT
        try:
            space = Space.load(settings.space or own_space).holding(settings.fixed)
        except InputError as error:
            # A space that is not found has no file of its own to blame.
            unfound = {"file": sweep.name, "key": f"{key}.space"}
            faults += [replace(fault, **unfound) if fault.key == "space" else fault for fault in error.faults]
        except pydantic.ValidationError as error:
            faults += faults_of(error, sweep.name, f"{key}.fixed")
        else:
            spaces[student] = space
            faults += _trial_faults(sweep, student, space, max(n_layers.values()))
            faults += _layer_faults(sweep, student, space, n_layers)
            faults += _size_faults(sweep, student, space, max(n_layers.values()))
    return spaces


class _Corners:
    """Suggests ends of ranges, and numbers between them where any number is allowed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        return self._random.choice((low, high) if step else (low, high, self._random.uniform(low, high)))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return self._random.choice((low, high))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._random.choice(choices)


def _trial_faults(sweep: SweepConfig, student: str, space: Space, n_layers: int) -> list[Fault]:
    """What is wrong with trials of the space in this sweep, each fault once."""
    faults: dict[tuple[str, str], Fault] = {}
    for seed in range(N_DRAWS):
        try:
            sweep.trial_config(student, space.suggest(_Corners(seed), n_layers), number=0)
        except pydantic.ValidationError as error:
            for fault in faults_of(error, sweep.name, f"students.{student}"):
                faults.setdefault((fault.key, fault.remedy), fault)
    return list(faults.values())


def _layer_faults(sweep: SweepConfig, student: str, space: Space, n_layers: Mapping[str, int]) -> list[Fault]:
    """Layers held fixed must exist; those searched are drawn among the teacher's own."""
    layers = space.fixed.get(LAYERS)
    try:
        check_layers(tuple(layers or ()), n_layers)
    except ValueError as error:
        return [Fault(sweep.name, f"students.{student}.fixed.{LAYERS}", layers, str(error))]
    return []


def _size_faults(sweep: SweepConfig, student: str, space: Space, n_layers: int) -> list[Fault]:
    """Sizes must be known, widths that are searched must change them, and a limit must leave some."""
    key, settings = f"students.{student}", sweep.students[student]
    try:
        sizes = extreme_sizes(student, space)
    except UncountedLayerError as error:
        return [Fault(sweep.name, key, None, str(error))]
    for name, parameter in space.parameters.items():
        if isinstance(parameter, Widths) and len(set(parameter.extremes)) > 1 and len(sizes) == 1:
            remedy = f"searches {name}, which changes nothing in {student}; choose a space without it"
            return [Fault(sweep.name, f"{key}.space", settings.space, remedy)]
    if (limit := settings.max_flash_kb) is None:
        return []
    smallest = sizes[0].flash_kb
    if smallest > limit:
        remedy = f"its smallest takes {smallest:.1f} kB; allow that much, search narrower ones, or take another student"
    elif all(size.flash_kb > limit for size in drawn_sizes(student, space, n_layers, N_DRAWS)):
        remedy = f"none of {N_DRAWS} random draws is so small, though {smallest:.1f} kB can be; search narrower ones"
    else:
        return []
    return [Fault(sweep.name, f"{key}.max_flash_kb", limit, remedy)]
