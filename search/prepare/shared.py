"""What all trials of a sweep share, made before the first of them: clips, teacher, corpus, logits.

Everything that a user can get wrong is found here, before Ray starts.
"""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search.home import Home
from search.prepare.data import read_data, storage_of
from search.prepare.listening import find_stream, stream_recipe
from search.prepare.teacher_pass import plan_pass
from search.propose.rehearsal import load_spaces
from search.propose.warm_start import Source, read_sources
from search.record.origin import Origin, origin_of
from search.screen.steps import Steps
from spaces.errors import Fault, InputError, gathering, refuse
from spaces.space import LAYERS, Space
from spaces.sweep import SweepConfig
from trainables.audio.entries import SPLITS
from trainables.corpus.build import build_corpus
from trainables.corpus.logits import fit_on_corpus, teacher_metrics, write_logits
from trainables.corpus.ranking import layer_scores, probes_on_corpus
from trainables.corpus.recipe import Recipe
from trainables.corpus.store import n_of_each_label, read_teachers
from trainables.corpus.stored import bring_stored, publish
from trainables.stream.heard import make_stream
from trainables.teachers.base import Teacher
from trainables.teachers.load import load_teacher
from trainables.teachers.probe import LayerRow

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shared:
    """What was made.

    Attributes:
        corpus: its folder on this machine.
        read_from: where trials find it, a folder that all nodes see, or a URI on storage.
        teacher: fitted; its head's logits are in the corpus.
        teacher_metrics: split to metrics of the teacher itself.
        spaces: each student's search space, with the sweep's fixed keys.
        probes: of each teacher layer, where a student searches layers.
        sources: student to the earlier trials that its study starts from.
        origin: what the corpus, its logits and the stream were made of.
        stream: name of the objective's stream beside the corpus; none without one.
    """

    corpus: Path
    read_from: str
    teacher: Teacher
    teacher_metrics: dict[str, dict[str, float]]
    spaces: dict[str, Space]
    probes: list[LayerRow]
    sources: dict[str, list[Source]]
    origin: Origin
    stream: str | None

    @property
    def n_layers(self) -> int:
        """Layers of the deepest teacher, which bound the search."""
        return max(member.n_layers for member in self.teacher.members.values())

    @property
    def facts(self) -> dict[str, Any]:
        """What an export or a rerun needs to know, and what MLflow and a report tell of clips and teacher, as JSON."""
        clips, teacher, head = (self.origin[part] for part in ("the clips", "the teacher", "the teacher's head"))
        return {
            "corpus": str(self.corpus),
            "head": self.teacher.head_fingerprint,
            "stream": self.stream,
            "clips": {
                "path": clips.settings["data.path"],
                "fingerprint": clips.fingerprint,
                "counts": {split: n_of_each_label(self.corpus / split) for split in SPLITS},
            },
            "teacher": {"fingerprint": f"{teacher.fingerprint}/{head.fingerprint}", **teacher.settings},
            "teachers": {name: asdict(states) for name, states in read_teachers(self.corpus).items()},
            "teacher_metrics": self.teacher_metrics,
            "probes": [row.model_dump() for row in self.probes],
        }

    @property
    def fingerprint(self) -> str:
        """Of data and teacher, head included."""
        return f"{self.corpus.name}/{self.teacher.head_fingerprint}"


def make_shared(sweep: SweepConfig, home: Home, step: Steps) -> Shared:
    """Check the sweep whole, then read clips, load the teacher, build the corpus, fit a head if there is none,
    and probe the teacher's layers.

    Args:
        step: tells the user what is going on, e.g. with a progress bar.

    Raises:
        InputError: anything of the sweep, its data or its teacher that cannot be used, or a weak teacher.
    """
    faults: list[Fault] = []
    teacher = None
    storage = storage_of(sweep, faults)
    with gathering(faults):
        sources = read_sources(sweep, home)
    with gathering(faults):
        teacher = load_teacher(sweep.teacher)
    spaces = load_spaces(sweep, teacher, faults)
    with gathering(faults):
        planned = plan_pass(sweep)
    with gathering(faults):
        recordings = find_stream(sweep)
    with gathering(faults):
        clips, views, origins = read_data(sweep.data, home, step)
    refuse(faults)
    heard = stream_recipe(sweep, recordings, clips)
    assert teacher is not None  # refused above
    for note in clips.report.notes:
        log.info("%s: %s", sweep.data.path, note)
    with step("teacher pass") as progress, planned as where:
        teacher.to(where.device, where.precision)
        recipe = Recipe(clips, views, teacher.members, origins)
        if storage:
            bring_stored(recipe.fingerprint, storage, home.cache)
        corpus = build_corpus(recipe, home.corpora, progress, where.fill)
    if not teacher.fitted:
        with step("fitting the teacher's head"):
            teacher = fit_on_corpus(teacher, corpus)
    write_logits(corpus, teacher)
    stream = None
    if heard:
        with step("listening to the stream") as progress:
            stream = make_stream(heard, corpus, progress).name
    metrics = teacher_metrics(corpus, teacher, sweep.objective)
    _refuse_a_weak_teacher(sweep, metrics["val"]["f1"])
    probes: list[LayerRow] = []
    if any(LAYERS in space.parameters for space in spaces.values()):
        with step("probing the teacher's layers"):
            probes = probes_on_corpus(teacher, corpus)
        told = ", ".join(f"{layer} ({score:.3f})" for layer, score in layer_scores(probes).items())
        log.info("teacher layers by linear probe (validation pAUC): %s", told)
    read_from = str(corpus)
    if storage:
        with step("sharing the corpus") as progress:
            read_from = publish(corpus, storage, home.cache, progress)
    origin = origin_of(sweep, recipe, teacher, heard)
    return Shared(corpus, read_from, teacher, metrics, spaces, probes, sources, origin, stream)


def _refuse_a_weak_teacher(sweep: SweepConfig, f1: float) -> None:
    if f1 >= sweep.teacher.minimum_f1:
        return
    told = f"the teacher's validation F1 is {f1:.3f}, under {sweep.teacher.minimum_f1:.2f}"
    if not sweep.teacher.allow_weak:
        remedy = f"{told}; fit a better one with `distune teacher fit`, or set teacher.allow_weak=true to insist"
        raise InputError(Fault(sweep.name, "teacher", sweep.teacher.model, remedy))
    log.warning("%s: its students may learn its mistakes", told)
