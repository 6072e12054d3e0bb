"""Ray's four calls."""

from pathlib import Path

import pytest
import torch
from ray.tune.result import SHOULD_CHECKPOINT

from trainables.distill import DistillTrainable


@pytest.fixture
def config(corpus_folder: Path, head: str) -> dict:
    return {
        "trial": {"training.epochs": 5, "training.batch_size": 4, "optimizer.warmup_epochs": 1},
        "corpus": str(corpus_folder),
        "head": head,
        "objective": {"metric": "val_f1"},
        "placement": "auto",
        "checkpoint_epochs": 2,
        "resume_from": None,
        "student": "tiny_conv",
        "number": 0,
    }


def losses(trainable: DistillTrainable, n: int) -> list[float]:
    return [trainable.train()["train_loss"] for _ in range(n)]


def test_a_checkpoint_is_due_every_so_many_epochs_and_at_the_end(config):
    trainable = DistillTrainable(config)
    results = [trainable.train() for _ in range(5)]
    assert [result[SHOULD_CHECKPOINT] for result in results] == [False, True, False, True, True]
    assert [result["done"] for result in results] == [False] * 4 + [True]
    assert results[-1]["best_objective"] == max(result["val_f1"] for result in results)


def test_a_restored_trial_goes_on_where_the_saved_one_stopped(config, tmp_path):
    saved, restored = DistillTrainable(config), DistillTrainable(config)
    losses(saved, 2)
    saved.save(str(tmp_path))
    restored.restore(str(tmp_path))
    assert losses(restored, 3) == losses(saved, 3)


def test_a_trial_that_resumes_as_a_new_one_counts_its_own_epochs(config, tmp_path):
    first = DistillTrainable(config)
    losses(first, 2)
    first.save(str(tmp_path))
    second = DistillTrainable(config | {"resume_from": str(tmp_path)})
    result = second.train()
    assert (result["epoch"], result["training_iteration"]) == (3, 1)
    assert result["train_loss"] == first.train()["train_loss"]


def test_a_trial_that_was_done_and_is_resumed_reports_its_end_again(config, tmp_path):
    first = DistillTrainable(config)
    losses(first, 5)
    first.save(str(tmp_path))
    result = DistillTrainable(config | {"resume_from": str(tmp_path)}).train()
    assert result["done"] and result["epoch"] == 5


def test_a_reused_actor_forgets_the_trial_before(config):
    other = config | {"trial": config["trial"] | {"seed": 7}}
    fresh, reused = DistillTrainable(other), DistillTrainable(config)
    losses(reused, 1)
    old = reused.run
    assert reused.reset(dict(other))
    assert reused.run is not old
    assert losses(reused, 2) == losses(fresh, 2)


def test_a_trial_uses_one_thread_unless_granted_more(config):
    torch.set_num_threads(2)
    DistillTrainable(config)
    assert torch.get_num_threads() == 1


def test_cleanup_frees_the_run(config):
    trainable = DistillTrainable(config)
    trainable.stop()
    assert not hasattr(trainable, "run")
