"""What all trials of a sweep share, made before the first of them: clips, teacher, corpus, logits.

Everything that a user can get wrong is found here, before Ray starts.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pydantic
import torch

from search.home import Home
from search.rehearsal import rehearsal_faults
from spaces.errors import Fault, InputError, faults_of
from spaces.layers import DEEPEST_LAYER
from spaces.space import LAYERS, SHIPPED_SPACES, Space
from spaces.sweep import SweepConfig
from trainables.audio.check import load_clips
from trainables.audio.views import ViewMaker
from trainables.corpus import check_layers, read_teachers
from trainables.corpus_build import Progress, Recipe, build_corpus
from trainables.corpus_logits import fit_on_corpus, teacher_metrics, write_logits
from trainables.students import STUDENTS
from trainables.teachers.base import Teacher
from trainables.teachers.load import load_teacher

log = logging.getLogger(__name__)
Steps = Callable[[str], AbstractContextManager[Progress]]
"""Names a step of the work and gives what to tell of its progress."""


@dataclass(frozen=True)
class Shared:
    """What was made.

    Attributes:
        corpus: its folder.
        teacher: fitted; its head's logits are in the corpus.
        teacher_metrics: split to metrics of the teacher itself.
        spaces: each student's search space, with the sweep's fixed keys.
    """

    corpus: Path
    teacher: Teacher
    teacher_metrics: dict[str, dict[str, float]]
    spaces: dict[str, Space]

    @property
    def n_layers(self) -> int:
        """Layers of the deepest teacher, which bound the search."""
        return max(member.n_layers for member in self.teacher.members.values())

    @property
    def facts(self) -> dict[str, Any]:
        """What an export or a rerun needs to know, as JSON."""
        return {
            "corpus": str(self.corpus),
            "head": self.teacher.head_fingerprint,
            "teachers": {name: asdict(states) for name, states in read_teachers(self.corpus).items()},
            "teacher_metrics": self.teacher_metrics,
        }

    @property
    def fingerprint(self) -> str:
        """Of data and teacher, head included."""
        return f"{self.corpus.name}/{self.teacher.head_fingerprint}"


def make_shared(sweep: SweepConfig, home: Home, step: Steps) -> Shared:
    """Check the sweep whole, then read clips, load the teacher, build the corpus, fit a head if there is none.

    Args:
        step: tells the user what is going on, e.g. with a progress bar.

    Raises:
        InputError: anything of the sweep, its data or its teacher that cannot be used, or a weak teacher.
    """
    spaces, teacher, views, faults = _loaded(sweep)
    try:
        with step("reading clips") as progress:
            clips = load_clips(sweep.data, progress)
    except InputError as error:
        faults += error.faults
    if faults or teacher is None or views is None:
        raise InputError(faults)
    for note in clips.report.notes:
        log.info("%s: %s", sweep.data.path, note)
    teacher.to("cuda" if torch.cuda.is_available() else "cpu")
    with step("teacher pass") as progress:
        corpus = build_corpus(Recipe(clips, views, teacher.members), home.corpora, progress)
    if not teacher.fitted:
        with step("fitting the teacher's head"):
            teacher = fit_on_corpus(teacher, corpus)
    write_logits(corpus, teacher)
    metrics = teacher_metrics(corpus, teacher, sweep.objective)
    _refuse_a_weak_teacher(sweep, metrics["val"]["f1"])
    return Shared(corpus, teacher, metrics, spaces)


def _loaded(sweep: SweepConfig) -> tuple[dict[str, Space], Teacher | None, ViewMaker | None, list[Fault]]:
    """All that the sweep file names, and every fault in it."""
    faults: list[Fault] = []
    spaces: dict[str, Space] = {}
    teacher = views = None
    try:
        teacher = load_teacher(sweep.teacher)
    except InputError as error:
        faults += error.faults
    try:
        views = ViewMaker(sweep.data.views)
    except InputError as error:
        faults += error.faults
    for student, settings in sweep.students.items():
        key = f"students.{student}"
        if student not in STUDENTS:
            faults.append(Fault(sweep.name, key, student, f"is no student; choose among {', '.join(sorted(STUDENTS))}"))
            continue
        try:
            spaces[student] = Space.load(settings.space or _own_space(student)).holding(settings.fixed)
        except InputError as error:
            # A space that is not found has no file of its own to blame.
            unfound = {"file": sweep.name, "key": f"{key}.space"}
            faults += [replace(fault, **unfound) if fault.key == "space" else fault for fault in error.faults]
        except pydantic.ValidationError as error:
            faults += faults_of(error, sweep.name, f"{key}.fixed")
    n_layers = max(member.n_layers for member in teacher.members.values()) if teacher else DEEPEST_LAYER
    for student, space in spaces.items():
        faults += rehearsal_faults(sweep, student, space, n_layers)
        faults += _layer_faults(sweep.name, student, space, teacher) if teacher else []
    return spaces, teacher, views, faults


def _own_space(student: str) -> str:
    """A student that ships no space of its own is searched in the one that suits any."""
    return student if student in SHIPPED_SPACES else "quickstart"


def _layer_faults(sweep_name: str, student: str, space: Space, teacher: Teacher) -> list[Fault]:
    """Layers held fixed must exist; those searched are drawn among the teacher's own."""
    layers = space.fixed.get(LAYERS)
    if layers is None:
        return []
    try:
        check_layers(tuple(layers), {name: member.n_layers for name, member in teacher.members.items()})
    except ValueError as error:
        return [Fault(sweep_name, f"students.{student}.fixed.{LAYERS}", layers, str(error))]
    return []


def _refuse_a_weak_teacher(sweep: SweepConfig, f1: float) -> None:
    if f1 >= sweep.teacher.minimum_f1:
        return
    told = f"the teacher's validation F1 is {f1:.3f}, under {sweep.teacher.minimum_f1:.2f}"
    if not sweep.teacher.allow_weak:
        remedy = f"{told}; fit a better one with `distune teacher fit`, or set teacher.allow_weak=true to insist"
        raise InputError(Fault(sweep.name, "teacher", sweep.teacher.model, remedy))
    log.warning("%s: its students may learn its mistakes", told)
