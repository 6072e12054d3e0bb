"""Fitting and measuring teachers outside a sweep, on the same corpora that sweeps use."""

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from search.home import Home
from search.prepare.data import read_data
from search.screen.steps import Steps
from spaces.errors import COMMAND_LINE, Fault, gathering, refuse
from spaces.sections import Data
from spaces.sections import Teacher as TeacherConfig
from trainables.audio.check import LoadedClips, stream
from trainables.audio.entries import SPLITS, Split
from trainables.audio.views import ViewMaker
from trainables.corpus.build import build_corpus
from trainables.corpus.logits import fit_on_corpus, pooled
from trainables.corpus.recipe import Recipe
from trainables.teachers.base import Teacher, fastest_device
from trainables.teachers.load import load_teacher
from trainables.teachers.precision import native_precision, settle
from trainables.teachers.probe import TeacherReport, check_teacher
from trainables.teachers.tune import FINE_TUNING, FROM_SCRATCH, Clips, fine_tune, fit_conformer
from trainables.teachers.tune import Recipe as TrainingRecipe


@dataclass(frozen=True)
class Lesson:
    """What a teacher is fitted and measured on.

    Attributes:
        home: keeps the corpora.
        step: shows each step of the work.
    """

    clips: LoadedClips
    views: ViewMaker
    home: Home
    step: Steps

    def corpus(self, teacher: Teacher) -> Path:
        """What the teacher's encoders make of the clips, built where it is missing."""
        with self.step("teacher pass") as progress:
            recipe = Recipe(self.clips, self.views, teacher.to(fastest_device()).members)
            return build_corpus(recipe, self.home.corpora, progress)

    def in_memory(self, split: Split) -> Clips:
        """A split's clips with their views, in half precision: 48 kB a view."""
        clips, n_views = self.clips.of(split), self.views.views.count if split == "train" else 1
        rows = []
        with self.step(f"making {split} views") as progress:
            for clip, samples in zip(clips, stream(clips), strict=True):
                made = [self.views.view(samples, clip.content_hash, k) for k in range(n_views)]
                rows.append(torch.stack([torch.from_numpy(view).half() for view in made]))
                progress(len(rows), len(clips))
        return Clips(torch.stack(rows), torch.tensor([clip.clip.label for clip in clips]))


def prepare(
    config: TeacherConfig | None, data: Data, home: Home, step: Steps, *, with_heads: bool = True, unfreeze: int = 0
) -> tuple[Teacher | None, Lesson]:
    """Load a teacher and read the clips.

    Args:
        config: ``None`` for a teacher that is yet to be made.
        with_heads: false leaves the teacher's heads behind, to be fitted anew.
        unfreeze: blocks that are to be trained, which the teacher must have.

    Raises:
        InputError: every fault of teacher, views and clips at once.
    """
    faults: list[Fault] = []
    teacher = None
    with gathering(faults):
        if config:
            # As in a sweep, whose corpus is then theirs as well.
            precision = settle(config, native_precision(torch.cuda.is_available()))
            teacher = load_teacher(config, with_heads=with_heads).to("cpu", precision)
    if teacher:
        faults += _block_faults(teacher, unfreeze)
    with gathering(faults):
        clips, views, _ = read_data(data, home, step)
    refuse(faults)
    return teacher, Lesson(clips, views, home, step)


def fit_teacher(teacher: Teacher | None, lesson: Lesson, *, unfreeze: int, epochs: int | None, seed: int) -> Teacher:
    """A fitted teacher: new heads alone, its last blocks too, or without ``teacher`` a conformer from scratch.

    Args:
        unfreeze: blocks to train besides the head.
        epochs: of the training that unfreezing or a conformer takes; by default the recipe's own.

    Raises:
        InputError: the disk has no room for the corpus.
        ValueError: training diverged.
    """
    if teacher and not unfreeze:
        return fit_on_corpus(teacher, lesson.corpus(teacher))
    train, val = lesson.in_memory("train"), lesson.in_memory("val")
    base = FINE_TUNING if teacher else FROM_SCRATCH
    recipe = TrainingRecipe(epochs or base.epochs, base.learning_rate, base.weight_decay, base.batch_size, seed=seed)
    with lesson.step("training the teacher") as progress:

        def on_epoch(epoch: int, train_loss: float, val_loss: float) -> None:
            progress(epoch, recipe.epochs)

        if teacher is None:
            return fit_conformer(train, val, recipe=recipe, on_epoch=on_epoch, device=fastest_device())
        return fine_tune(teacher.to(fastest_device()), train, val, unfreeze, recipe, on_epoch)


def measure(teacher: Teacher, lesson: Lesson, minimum_f1: float) -> TeacherReport:
    """The teacher's metrics per split, and a linear probe of each layer."""
    corpus = lesson.corpus(teacher)
    return check_teacher(teacher, {split: pooled(corpus, split, teacher) for split in SPLITS}, minimum_f1)


def save_teacher(teacher: Teacher, folder: Path) -> dict[str, str]:
    """Write a teacher to a new folder, whole or not at all.

    Returns:
        The ``teacher`` section of a sweep file that names it.

    Raises:
        InputError: the folder cannot be written.
    """
    with contextlib.ExitStack() as undo:
        # Two teachers are two folders, of which the second may fail.
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        teacher.save(folder)
        undo.pop_all()
    names = list(teacher.members)
    if len(names) == 1:
        return {"architecture": names[0], "model": str(folder)}
    return {"architecture": "dual", "model": str(folder / names[0]), "secondary_model": str(folder / names[1])}


def _block_faults(teacher: Teacher, unfreeze: int) -> list[Fault]:
    blocks = {name: len(member.blocks) for name, member in teacher.members.items()}
    return [
        Fault(COMMAND_LINE, "--unfreeze", unfreeze, f"the {name} teacher has {n_blocks} blocks; unfreeze fewer")
        for name, n_blocks in blocks.items()
        if unfreeze > n_blocks
    ]
