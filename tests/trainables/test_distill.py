"""Ray's four calls."""

import tempfile
from pathlib import Path

import pytest
import torch
from ray.tune.result import SHOULD_CHECKPOINT

from tests.disks import small_disk
from trainables import distill
from trainables.distill import DistillTrainable
from trainables.memory import RESETS_PEAK


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


def test_the_test_split_is_read_at_the_end_where_that_is_asked_for(config):
    asked, unasked = DistillTrainable(config | {"reads_test": True}), DistillTrainable(config)
    results = [asked.train() for _ in range(5)]
    n_test = [sum(name.startswith("test_") for name in result) for result in results]
    assert n_test[:4] == [0] * 4 and n_test[4] > 5
    assert not any(name.startswith("test_") for _ in range(5) for name in unasked.train())
    assert not any(name.startswith("test_") for name in asked.run.state_dict()["result"])


def test_a_run_that_ended_untold_reads_the_same_test_metrics_when_it_is_resumed(config, tmp_path):
    reading = config | {"reads_test": True}
    first = DistillTrainable(reading)
    losses(first, 4)
    last = first.train()
    first.save(str(tmp_path))
    again = DistillTrainable(reading | {"resume_from": str(tmp_path)}).train()
    told = {name: value for name, value in last.items() if name.startswith("test_")}
    assert told and told == {name: value for name, value in again.items() if name.startswith("test_")}


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


def test_a_full_disk_costs_a_checkpoint_and_leaves_nothing_behind_and_the_next_result_says_so(
    config, tmp_path, monkeypatch
):
    monkeypatch.setattr(distill, "PATIENCE_SECONDS", 0)
    trainable = DistillTrainable(config)
    losses(trainable, 1)
    with small_disk(tmp_path / "disk", kilobytes=64) as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        assert trainable.save().checkpoint is None
        assert list(disk.iterdir()) == []
    result = trainable.train()
    assert result["epoch"] == 2 and "No space left on device" in result["unsaved"]
    assert "unsaved" not in trainable.train()


def test_cleanup_frees_the_run(config):
    trainable = DistillTrainable(config)
    trainable.stop()
    assert not hasattr(trainable, "run")


def test_every_result_has_the_most_memory_that_its_own_trial_held(config):
    trainable = DistillTrainable(config)
    before = trainable.train()["peak_memory_mb"]
    ballast = torch.ones(50, 1_000_000)  # 200 MB
    with_ballast = trainable.train()["peak_memory_mb"]
    del ballast
    trainable.reset(dict(config))
    after = trainable.train()["peak_memory_mb"]
    assert before > 100 and before + 150 < with_ballast
    if RESETS_PEAK.exists():
        assert after + 100 < with_ballast
