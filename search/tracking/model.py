"""A confirmed winner as an MLflow model: its traced graph, which loads without distune, signature and example."""

import json
import shutil
from pathlib import Path
from typing import Any

import mlflow.pytorch
import numpy as np
import torch
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec
from safetensors.torch import load_file

from search.confirm.results import Confirmation
from search.home import SweepFolder
from search.tracking.batch import WinningModel
from spaces.sweep import SweepConfig
from spaces.trial import TrialConfig
from trainables.audio.frontend import N_FRAMES, N_MELS
from trainables.kept import WEIGHTS_FILE
from trainables.students import build_student

MODEL_FOLDER = "mlflow"
N_EXAMPLES = 2  # torch.export would take a batch of one for a batch that is always one


def winning_model(
    found: Confirmation, sweep: SweepConfig, facts: dict[str, Any], folder: SweepFolder
) -> tuple[int, WinningModel] | None:
    """The winner's best run by validation, by its number, with the folder that MLflow is given; made where missing.

    Returns:
        ``None`` while a run is yet to end, or where nothing was kept of the winner's.
    """
    winner = found.winner
    if winner is None or found.n_missing:
        return None
    seed = found.best_seed(winner)
    number = winner.numbers[seed]
    kept = folder.confirmed_run(found.student, number)
    if not (kept / WEIGHTS_FILE).is_file():
        return None
    if not (kept / MODEL_FOLDER).is_dir():
        write_model(winner.config, kept / WEIGHTS_FILE, kept / MODEL_FOLDER)
    metric = found.objective.metric
    told = {"trial": str(winner.trial_number), "seed": str(seed), "seeds": str(len(found.seeds))}
    told |= {name: f"{value:.6g}" for name, value in winner.runs[seed].items()}
    measured = {"objective": json.dumps(_objective(found, facts), sort_keys=True)}
    measured["clips"] = facts.get("clips", {}).get("fingerprint", f"unknown, of sweep {sweep.name}")
    model = WinningModel(
        name=found.student,
        folder=str(kept / MODEL_FOLDER),
        sweep=sweep.name,
        score=found.spread(winner, metric).mean,
        higher_is_better=found.objective.sign > 0,
        measured_by=measured,
        facts=told,
    )
    return number, model


def _objective(found: Confirmation, facts: dict[str, Any]) -> dict[str, Any]:
    """By what winners are compared; a stream by its content, wherever it lies, and without one, nothing of it."""
    if stream := facts.get("stream"):
        return found.objective.model_dump(mode="json") | {"stream": stream}
    return found.objective.model_dump(mode="json", exclude={"stream", "stream_epochs"})


def write_model(config: TrialConfig, weights: Path, folder: Path) -> None:
    """Make ``folder`` an MLflow model of a student: log-mel (batch, 1, 64, 151), float32, to logits (batch, classes).

    The folder is whole as soon as it is there.
    """
    student = build_student(config.model)
    student.load_state_dict(load_file(weights))
    example = np.zeros((N_EXAMPLES, 1, N_MELS, N_FRAMES), np.float32)
    inputs = TensorSpec(example.dtype, (-1, *example.shape[1:]))
    outputs = TensorSpec(example.dtype, (-1, config.model.num_classes))
    new = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    mlflow.pytorch.save_model(
        student.eval(),
        str(new),
        signature=ModelSignature(Schema([inputs]), Schema([outputs])),
        input_example=example,
        # Named, or MLflow would start a process to find out.
        pip_requirements=[f"mlflow=={mlflow.__version__}", f"torch=={torch.__version__.partition('+')[0]}", "numpy"],
        serialization_format="pt2",
        metadata={"trial": config.flat()},
    )
    new.rename(folder)
