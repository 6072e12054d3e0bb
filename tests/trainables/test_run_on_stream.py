"""A run that is measured on a stream: the same again, resumed, and judged by what was measured."""

import itertools
from pathlib import Path

import pytest
import torch

from tests.trainables.stream.streams import recipe_of
from trainables.build import build_run, read_checkpoint, save_run
from trainables.run import DistillRun
from trainables.stream.heard import make_stream

OBJECTIVE = {"metric": "val_stream_frr_at_fah", "stream": "hours", "stream_epochs": 3, "false_accepts_per_hour": 300}
ON_STREAM = ("val_stream_frr_at_fah", "val_stream_threshold", "val_stream_release", "val_stream_epoch")


@pytest.fixture(scope="module")
def stream(corpus_folder, tmp_path_factory) -> str:
    return make_stream(recipe_of(tmp_path_factory.mktemp("stream")), corpus_folder).name


@pytest.fixture
def build(corpus_folder: Path, head: str, stream: str):
    def make(objective: dict = OBJECTIVE, **trial: object) -> DistillRun:
        torch.set_num_threads(1)
        settings = {"training.epochs": 7, "training.batch_size": 4, "optimizer.warmup_epochs": 1}
        settings |= {key.replace("__", "."): value for key, value in trial.items()}
        return build_run(settings, corpus_folder, head, objective, stream=stream)

    return make


def results(run: DistillRun, n: int = 7) -> list[dict]:
    return [{key: value for key, value in run.step().items() if not key.endswith("_seconds")} for _ in range(n)]


def test_every_result_has_the_metric_measured_in_the_epochs_that_are_due(build):
    found = results(build())
    assert [result["val_stream_epoch"] for result in found] == [1, 1, 3, 3, 3, 6, 7]
    for before, result in itertools.pairwise(found):
        if result["val_stream_epoch"] != result["epoch"]:
            assert all(result[name] == before[name] for name in ON_STREAM)
    assert found[-1]["best_objective"] == min(result["val_stream_frr_at_fah"] for result in found)
    assert all(result["best_epoch"] in (1, 3, 6, 7) for result in found)


def test_the_same_trial_gives_the_same_bits_again(build):
    assert results(build()) == results(build())


def test_measuring_changes_nothing_of_the_training(build, corpus_folder, head):
    bare = build_run(build().config.flat(), corpus_folder, head, {})
    for with_it, without in zip(results(build({**OBJECTIVE, "metric": "val_pauc"})), results(bare), strict=True):
        assert {key: with_it[key] for key in without} == without


@pytest.mark.parametrize("n_before", [1, 4])
def test_a_resumed_run_is_the_uninterrupted_one_with_values_that_stand(build, tmp_path, n_before):
    whole, first = build(), build()
    expected = results(whole)
    results(first, n_before)
    save_run(first, tmp_path)
    resumed = build()
    resumed.load_state_dict(read_checkpoint(tmp_path))
    assert results(resumed, 7 - n_before) == expected[n_before:]


def test_patience_runs_out_only_where_the_stream_was_measured(build):
    found = results(build(training__early_stopping_patience=1), 7)
    ended = next(result for result in found if result["done"])
    assert ended["val_stream_epoch"] == ended["epoch"]
    assert ended["epoch"] == 7 or ended["epoch"] > ended["best_epoch"]


def test_another_objective_may_have_a_stream_beside_it(build):
    run = build({"metric": "val_pauc", "stream": "hours", "stream_epochs": 7})
    (result,) = results(run, 1)
    assert result["val_stream_epoch"] == 1 and result["best_objective"] == result["val_pauc"]


def test_a_stream_that_was_never_made_is_told(corpus_folder, head):
    with pytest.raises(FileNotFoundError):
        build_run({}, corpus_folder, head, OBJECTIVE, stream="0123456789abcdef")
