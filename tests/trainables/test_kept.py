"""What stays of a confirmed run: through its last checkpoint, weights and what they say of the clips."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from trainables.build import best_student
from trainables.distill import DistillTrainable
from trainables.kept import SCORES_FILE, WEIGHTS_FILE, has_scores, keep
from trainables.metrics import evaluate


@pytest.fixture
def config(corpus_folder: Path, head: str) -> dict:
    trial = {"training.epochs": 3, "training.batch_size": 4, "optimizer.warmup_epochs": 1}
    objective, often = {"metric": "val_f1"}, {"placement": "auto", "checkpoint_epochs": 1, "student": "tiny_conv"}
    return {"trial": trial, "corpus": str(corpus_folder), "head": head, "objective": objective, **often, "number": 0}


def ended(config: dict, folder: Path) -> tuple[DistillTrainable, dict]:
    """A trial that ran to its end and was saved in ``folder``, and its last result."""
    trainable = DistillTrainable(config)
    result = [trainable.train() for _ in range(3)][-1]
    trainable.save(str(folder))
    return trainable, result


def test_the_scores_are_those_that_the_test_metrics_were_read_from(config, tmp_path):
    trainable, result = ended(config | {"reads_test": True}, tmp_path)
    with np.load(tmp_path / SCORES_FILE) as kept:
        assert sorted(kept) == ["test_labels", "test_scores", "val_labels", "val_scores"]
        read = evaluate(kept["test_scores"], kept["test_labels"], fpr=0.05, false_accepts_per_hour=1.0)
        assert (kept["val_labels"] == trainable.run.splits["val"].labels.numpy()).all()
        assert kept["val_scores"].dtype == np.float64
    assert {name: result[f"test_{name}"] for name in ("auc", "pauc", "f1")} == pytest.approx(
        {name: read[name] for name in ("auc", "pauc", "f1")}
    )


def test_a_run_that_reads_no_test_clips_leaves_no_scores(config, tmp_path):
    ended(config, tmp_path)
    assert not has_scores(tmp_path) and not (tmp_path / SCORES_FILE).exists()


def test_what_is_kept_is_the_best_epochs_student_and_says_what_it_is(config, tmp_path):
    ended(config | {"reads_test": True}, tmp_path / "checkpoint")
    assert has_scores(tmp_path / "checkpoint")
    kept = tmp_path / "confirmed" / "tiny_conv-007"
    keep(tmp_path / "checkpoint", kept)
    trial, student, best = best_student(tmp_path / "checkpoint")
    weights = load_file(kept / WEIGHTS_FILE)
    assert all(torch.equal(weights[name], tensor) for name, tensor in student.state_dict().items())
    with safe_open(kept / WEIGHTS_FILE, "pt") as file:
        told = file.metadata()
    assert json.loads(told["trial"]) == json.loads(json.dumps(trial.flat()))
    assert told["best_epoch"] == str(best["epoch"])
    assert [path.name for path in (tmp_path / "confirmed").iterdir()] == ["tiny_conv-007"]
