"""What stays of a run that was confirmed: its student's weights, and what it said of each clip.

A worker puts the scores into the run's last checkpoint, for only that reaches the driver from any machine; the driver
takes both out of it, for checkpoints are disposable.
"""

import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from trainables.build import FINISHED_FILE, read_checkpoint
from trainables.run import VALIDATION_BATCH, DistillRun
from trainables.storage.path import StoragePath, copied_here, located

WEIGHTS_FILE, SCORES_FILE = "student.safetensors", "scores.npz"


@torch.inference_mode()
def scores(run: DistillRun, split: str) -> NDArray[np.float64]:
    """(clips,) probabilities of the wake word, in the corpus' order, by the student as it is."""
    run.student.eval()
    logits = []
    for batch in run.splits[split].clean(VALIDATION_BATCH[run.device.type]):
        with run.optimization.autocast():
            logits.append(run.student(batch.mel))
    # In double precision, where two clips that the student is sure of do not become a tie.
    return torch.cat(logits).double().softmax(dim=1)[:, -1].cpu().numpy()


def save_scores(run: DistillRun, folder: str | Path) -> None:
    """Add ``scores.npz`` to a checkpoint: ``val_scores, val_labels, test_scores, test_labels``, (clips,) each.

    The student keeps the weights of its best epoch.

    Raises:
        ValueError: no epoch has been run.
    """
    run.use_best()
    np.savez(
        Path(folder) / SCORES_FILE,
        val_scores=scores(run, "val"),
        val_labels=run.splits["val"].labels.cpu().numpy(),
        test_scores=scores(run, "test"),
        test_labels=run.splits["test"].labels.cpu().numpy(),
    )


def has_scores(checkpoint: str | Path) -> bool:
    """Whether a checkpoint is of a run that is over, and holds what it said."""
    return all(StoragePath(located(checkpoint)).at(name).is_file() for name in (FINISHED_FILE, SCORES_FILE))


def keep(checkpoint: str | Path, folder: Path) -> None:
    """Make ``folder`` of a checkpoint that has scores: ``student.safetensors`` and ``scores.npz``.

    The weights are those of the best epoch; their metadata says what was trained (``trial``, dotted keys as JSON) and
    which epoch it was (``best_epoch``). The folder is whole as soon as it is there.
    """
    with copied_here(checkpoint) as here:
        state, told_scores = read_checkpoint(here), (here / SCORES_FILE).read_bytes()
    best = state["best"]
    new = folder.with_name(f".{folder.name}.new")
    new.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.contiguous() for name, tensor in best["student"].items()}
    told = {"trial": json.dumps(state["trial"]), "best_epoch": str(best["result"]["epoch"])}
    save_file(weights, new / WEIGHTS_FILE, metadata=told)
    (new / SCORES_FILE).write_bytes(told_scores)
    new.rename(folder)
