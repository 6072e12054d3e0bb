"""Fitting and measuring teachers outside a sweep, on the same corpora that sweeps use."""

from pathlib import Path

import torch

from search.home import Home
from search.shared import Steps
from spaces.sweep import Data
from spaces.sweep import Teacher as TeacherConfig
from trainables.audio.check import LoadedClips, load_clips, stream
from trainables.audio.entries import SPLITS, Split
from trainables.audio.views import ViewMaker
from trainables.corpus_build import Recipe, build_corpus
from trainables.corpus_logits import fit_on_corpus, pooled
from trainables.teachers.base import Teacher
from trainables.teachers.load import load_teacher
from trainables.teachers.probe import TeacherReport, check_teacher
from trainables.teachers.tune import FINE_TUNING, FROM_SCRATCH, Clips, fine_tune, fit_conformer
from trainables.teachers.tune import Recipe as TrainingRecipe


def fit_teacher(
    config: TeacherConfig, data: Data, home: Home, step: Steps, *, unfreeze: int, epochs: int | None, seed: int
) -> Teacher:
    """A fitted teacher: its head alone, its last blocks too, or a conformer from scratch.

    Args:
        unfreeze: blocks to train besides the head.
        epochs: of the training that unfreezing or a conformer takes; by default the recipe's own.

    Raises:
        InputError: data or teacher that cannot be used.
    """
    from_scratch = config.architecture == "conformer" and config.model is None
    if not (from_scratch or unfreeze):
        clips = _clips(data, step)
        return fit_on_corpus(*_corpus(load_teacher(config, with_heads=False), data, clips, home, step))
    teacher = None if from_scratch else load_teacher(config, with_heads=False)
    clips = _clips(data, step)
    train, val = (_in_memory(clips, split, ViewMaker(data.views), step) for split in ("train", "val"))
    base = FROM_SCRATCH if from_scratch else FINE_TUNING
    recipe = TrainingRecipe(epochs or base.epochs, base.learning_rate, base.weight_decay, base.batch_size, seed=seed)
    with step("training the teacher") as progress:

        def on_epoch(epoch: int, train_loss: float, val_loss: float) -> None:
            progress(epoch, recipe.epochs)

        if teacher is None:
            return fit_conformer(train, val, recipe=recipe, on_epoch=on_epoch, device=_device())
        return fine_tune(teacher.to(_device()), train, val, unfreeze, recipe, on_epoch)


def measure(teacher: Teacher, data: Data, home: Home, step: Steps, minimum_f1: float = 0.80) -> TeacherReport:
    """The teacher's metrics per split, and a linear probe of each layer."""
    teacher, corpus = _corpus(teacher, data, _clips(data, step), home, step)
    return check_teacher(teacher, {split: pooled(corpus, split, teacher) for split in SPLITS}, minimum_f1)


def _corpus(teacher: Teacher, data: Data, clips: LoadedClips, home: Home, step: Steps) -> tuple[Teacher, Path]:
    with step("teacher pass") as progress:
        recipe = Recipe(clips, ViewMaker(data.views), teacher.to(_device()).members)
        return teacher, build_corpus(recipe, home.corpora, progress)


def _clips(data: Data, step: Steps) -> LoadedClips:
    with step("reading clips") as progress:
        return load_clips(data, progress)


def _in_memory(clips: LoadedClips, split: Split, views: ViewMaker, step: Steps) -> Clips:
    """A split's clips with their views, in half precision: 48 kB a view."""
    loaded, n_views = clips.of(split), views.views.count if split == "train" else 1
    rows = []
    with step(f"making {split} views") as progress:
        for clip, samples in zip(loaded, stream(loaded), strict=True):
            made = [views.view(samples, clip.content_hash, k) for k in range(n_views)]
            rows.append(torch.stack([torch.from_numpy(view).half() for view in made]))
            progress(len(rows), len(loaded))
    return Clips(torch.stack(rows), torch.tensor([clip.clip.label for clip in loaded]))


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
