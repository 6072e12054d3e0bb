"""A trial's run from plain data, as it travels to a worker."""

import io
from pathlib import Path
from typing import Any

import torch

from spaces.sections import Objective
from spaces.trial import TrialConfig
from trainables.corpus.placement import Placement
from trainables.corpus.store import Corpus
from trainables.corpus.stored import corpus_here
from trainables.run import DistillRun
from trainables.seeding import Randomness, seeds_of
from trainables.storage.path import copied_here
from trainables.stream.heard import FOLDER, HeardStream
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
    stream: str | None = None,
) -> DistillRun:
    """A fresh run.

    Args:
        trial: dotted keys of a ``TrialConfig``.
        corpus: folder of a finished corpus, or where it is to be fetched from; see `trainables.corpus.stored`.
        head: fingerprint of the teacher's head whose logits are taught.
        objective: fields of a sweep's ``Objective``.
        placement: where the corpus lies while the run trains.
        stream: name of the stream beside the corpus that the run is measured on.

    Raises:
        InputError: no such student.
        ValueError: a knob is out of bounds, or the corpus lacks what the trial aligns.
        FileNotFoundError: no finished corpus there.
        StorageError: it cannot be fetched.
    """
    config = TrialConfig.from_flat(trial)
    student = seeded_student(config)
    streams = [f"{FOLDER}/{stream}"] if stream else []
    folder = corpus_here(corpus, head, streams)
    heard = HeardStream.open(folder / streams[0]) if streams else None
    opened = Corpus.open(folder, head)
    return DistillRun(config, student, opened, Objective.model_validate(objective), device, placement, heard)


def seeded_student(config: TrialConfig) -> Student:
    """The trial's student with the initial weights that its seed gives."""
    with Randomness(seeds_of(config.seed).weights, torch.device("cpu")).installed():
        return build_student(config.model)


def save_run(run: DistillRun, folder: str | Path) -> None:
    """Write a checkpoint: ``run.pt``, or of a run that is done the smaller ``student.pt``.

    Raises:
        OSError: there is no room for it, or another fault of the disk.
    """
    # In memory first: torch tells of a full disk as a RuntimeError that could be anything.
    written = io.BytesIO()
    torch.save(run.state_dict(), written)
    (Path(folder) / (FINISHED_FILE if run.done else RUNNING_FILE)).write_bytes(written.getbuffer())


def read_checkpoint(folder: str | Path) -> dict[str, Any]:
    """The state in a checkpoint's folder, here or on storage, on the CPU: see ``DistillRun.state_dict``.

    Raises:
        FileNotFoundError: no checkpoint there.
        StorageError: it cannot be fetched.
    """
    with copied_here(folder) as here:
        finished = here / FINISHED_FILE
        path = finished if finished.exists() else here / RUNNING_FILE
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
