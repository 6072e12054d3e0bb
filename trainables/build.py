"""A trial's run from plain data, as it travels to a worker."""

from pathlib import Path
from typing import Any

import torch

from spaces.sections import Objective
from spaces.trial import TrialConfig
from trainables.corpus.placement import Placement
from trainables.corpus.store import Corpus
from trainables.run import DistillRun
from trainables.seeding import Randomness, seeds_of
from trainables.students import Student, build_student

RUNNING_FILE = "run.pt"
FINISHED_FILE = "student.pt"


def build_run(
    trial: dict[str, Any],
    corpus: str | Path,
    head: str,
    objective: dict[str, Any],
    device: str = "cpu",
    placement: Placement = "auto",
) -> DistillRun:
    """A fresh run.

    Args:
        trial: dotted keys of a ``TrialConfig``.
        corpus: folder of a finished corpus.
        head: fingerprint of the teacher's head whose logits are taught.
        objective: fields of a sweep's ``Objective``.
        placement: where the corpus lies while the run trains.

    Raises:
        InputError: no such student.
        ValueError: a knob is out of bounds, or the corpus lacks what the trial aligns.
        FileNotFoundError: no finished corpus there.
    """
    config = TrialConfig.from_flat(trial)
    student = seeded_student(config)
    opened = Corpus.open(Path(corpus), head)
    return DistillRun(config, student, opened, Objective.model_validate(objective), device, placement)


def seeded_student(config: TrialConfig) -> Student:
    """The trial's student with the initial weights that its seed gives."""
    with Randomness(seeds_of(config.seed).weights, torch.device("cpu")).installed():
        return build_student(config.model)


def save_run(run: DistillRun, folder: str | Path) -> None:
    """Write a checkpoint: ``run.pt``, or of a run that is done the smaller ``student.pt``."""
    torch.save(run.state_dict(), Path(folder) / (FINISHED_FILE if run.done else RUNNING_FILE))


def read_checkpoint(folder: str | Path) -> dict[str, Any]:
    """The state in a checkpoint's folder, on the CPU: see ``DistillRun.state_dict``.

    Raises:
        FileNotFoundError: no checkpoint there.
    """
    finished = Path(folder) / FINISHED_FILE
    path = finished if finished.exists() else Path(folder) / RUNNING_FILE
    return torch.load(path, map_location="cpu", weights_only=True)


def best_student(folder: str | Path) -> tuple[TrialConfig, Student, dict[str, Any]]:
    """The trial of a checkpoint, its student with the best epoch's weights, and what that epoch reported.

    The student is on the CPU, in evaluation mode: what an export needs.
    """
    state = read_checkpoint(folder)
    config = TrialConfig.from_flat(state["trial"])
    student = build_student(config.model)
    student.load_state_dict(state["best"]["student"])
    return config, student.eval(), state["best"]["result"]
