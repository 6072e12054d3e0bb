"""The teacher pass on several Ray nodes: what it gives, what it refuses, and what a lost node costs."""

import logging
import os
import sys
import time
from collections import deque
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import ray
import torch
from ray.cluster_utils import Cluster

from search.home import open_home
from search.prepare import teacher_pool
from search.prepare.shared import make_shared
from search.prepare.teacher_pass import plan_pass
from search.prepare.teacher_pool import Place, Worker, _Pool, computes_on_cpus, fill_by_pool, places
from search.run.starting import started
from search.screen.steps import silent_steps
from spaces.errors import InputError
from spaces.sweep import SweepConfig
from tests.trainables.recipes import CLIPS_DONE, SHARD, contents, recipe_of, write_clips
from tests.trainables.teachers.conftest import CONFIGS, random_model, saved
from trainables.corpus import shards
from trainables.corpus.build import build_corpus
from trainables.corpus.fill import fill_here
from trainables.corpus.recipe import Recipe
from trainables.teachers.base import Encoder


class Slow(Encoder):
    """A fifth of a second a batch, and then the clip's loudness."""

    name, n_layers, dim = "slow", 1, 1

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        time.sleep(0.2)
        return self.scale * waveform.square().mean(dim=1).reshape(-1, 1, 1)

    def description(self) -> dict:
        return {}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_clips(tmp_path_factory.mktemp("recordings"))


@pytest.fixture(autouse=True)
def _shards_of_two(monkeypatch):
    monkeypatch.setattr(shards, "CLIPS_PER_SHARD", SHARD)


@pytest.fixture
def cluster(monkeypatch):
    """A head and a second node of one CPU each, joined."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    # Test modules are not importable on a node; the classes in this one travel whole.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    settings = {"num_cpus": 1, "include_dashboard": False}
    cluster = started(lambda: Cluster(initialize_head=True, head_node_args=settings))
    cluster.second = started(lambda: cluster.add_node(num_cpus=1))
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster
    ray.shutdown()
    cluster.shutdown()
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def of_one_thread(recipe: Recipe, corpora: Path) -> Path:
    """Built in this process over one thread, as each worker has one: other sums would round otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    corpus = build_corpus(recipe, corpora)
    torch.set_num_threads(threads)
    return corpus


@pytest.mark.slow
def test_a_pool_and_one_process_build_the_same_corpus(cluster, data, tmp_path, wait_for):
    recipe, done = recipe_of(data), []
    assert sorted(place.n_cpus for place in places()) == [1, 1]
    pool = build_corpus(recipe, tmp_path / "pool", lambda n, of: done.append((n, of)), fill_by_pool)
    assert contents(pool) == contents(of_one_thread(recipe, tmp_path / "here"))
    assert [of for _, of in done] == [17] * 9 and done[-1] == (17, 17) and done == sorted(done)
    # The workers are gone, and their CPUs are for the trials.
    wait_for(lambda: ray.available_resources().get("CPU") == 2)


@pytest.mark.slow
def test_a_node_that_is_removed_while_it_builds_costs_nothing_but_time(cluster, data, tmp_path, caplog):
    recipe, n_told = recipe_of(data, Slow()), 0

    def remove_the_second_node(done: int, of: int) -> None:
        nonlocal n_told
        n_told += 1
        if n_told == 1:
            (raylet,) = cluster.second.all_processes["raylet"]
            of_the_node = psutil.Process(raylet.process.pid).children(recursive=True)
            cluster.remove_node(cluster.second, allow_graceful=False)
            # By itself a worker lives on for seconds, in which it could build all that is left.
            for process in of_the_node:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(of_the_node, timeout=60)

    with caplog.at_level(logging.WARNING):
        pool = build_corpus(recipe, tmp_path / "pool", remove_the_second_node, fill_by_pool)
    assert "the teacher pass lost a worker; others take its" in caplog.text
    assert n_told == len(CLIPS_DONE)  # no shard counts twice
    assert contents(pool) == contents(of_one_thread(recipe, tmp_path / "here"))


@pytest.mark.slow
def test_a_node_that_sees_another_folder_at_that_path_is_refused_by_name_and_path(cluster, data, tmp_path, monkeypatch):
    @contextmanager
    def elsewhere(folder, exchange):
        yield "on another disk"

    monkeypatch.setattr(teacher_pool, "_token", elsewhere)
    with pytest.raises(InputError, match=r"put it on storage that all nodes share .* or set DISTUNE_HOME") as refused:
        build_corpus(recipe_of(data), tmp_path, fill=fill_by_pool)
    assert {fault.file for fault in refused.value.faults} == {str(tmp_path)}
    assert all(os.uname().nodename in fault.remedy for fault in refused.value.faults)
    partial = next(tmp_path.glob("*.partial"))
    assert os.listdir(partial / "done") == []  # before any shard


@pytest.mark.slow
def test_a_clip_that_changed_since_it_was_checked_is_refused_from_a_node_too(cluster, tmp_path):
    data = write_clips(tmp_path / "clips")
    recipe = recipe_of(data, Slow())
    changed = recipe.clips.of("train")[4].clip.path
    changed.write_bytes(b"no audio")
    with pytest.raises(InputError, match="could be read before, not now") as refused:
        build_corpus(recipe, tmp_path / "corpora", fill=fill_by_pool)
    assert [fault.file for fault in refused.value.faults] == [str(changed)]


@pytest.mark.slow
def test_each_gpu_is_a_place_of_its_own_and_nodes_without_one_help_where_they_compute_the_same(cluster):
    node = started(lambda: cluster.add_node(num_cpus=7, num_gpus=2))  # pretended
    with_gpu = [Place(node.node_id, 3, 1)] * 2
    assert places(cpus_too=False) == with_gpu
    assert sorted(place.n_gpus for place in places()) == [0, 0, 1, 1]


def test_half_precision_is_for_gpus_alone(data):
    recipe = recipe_of(data)
    assert computes_on_cpus(recipe)
    for encoder in recipe.encoders.values():
        encoder.precision = "float16"
    assert not computes_on_cpus(recipe)


def test_beside_gpus_a_worker_without_one_takes_a_shard_at_a_time(tmp_path):
    class Built:
        build = SimpleNamespace(remote=lambda folder, shards: tuple(shards))

    queue = deque(shards.Shard("train", start, start + 1) for start in range(16))
    pool = _Pool(None, tmp_path, "token", queue)
    pool.idle = [(Built, Place("one", 4, 1)), (Built, Place("two", 4, 0))]
    pool.assign()
    # The one is popped last: a quarter of the fifteen that are left.
    assert {call.place.node: len(call.shards) for call in pool.calls.values()} == {"one": 3, "two": 1}


def test_a_worker_names_each_path_that_its_node_lacks(data, tmp_path):
    recipe = recipe_of(data, noise=[data / "train"])
    worker = Worker(recipe, torch.get_num_threads())
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / "token").touch()
    assert worker.faults(tmp_path, "token") == []
    moved = data.rename(tmp_path / "moved")
    missing = {Path(fault.file) for fault in worker.faults(tmp_path, "token")}
    moved.rename(data)
    assert data / "train" in missing
    assert {path.parent.relative_to(data).as_posix() for path in missing if path.suffix == ".wav"} == {
        "train/positive", "train/negative", "train/hard_negative",
        "val/positive", "val/negative", "test/positive", "test/negative",
    }  # fmt: skip


# What decides where, and how exactly


def sweep_of(data: Path, **sections) -> SweepConfig:
    return SweepConfig.model_validate({"name": "first", "data": {"path": data}, "students": ["tiny_conv"]} | sections)


def test_one_machine_with_at_most_one_gpu_builds_in_its_own_process_without_ray(data):
    with plan_pass(sweep_of(data)) as where:
        assert where.fill is fill_here and not ray.is_initialized()


def test_a_half_precision_is_refused_on_a_cpu_at_once(data, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"teacher\.precision = 'float16': is for GPUs, .* leave it at auto"):
        plan_pass(sweep_of(data, teacher={"precision": "float16"}))


@pytest.mark.slow
def test_a_sweep_on_a_cluster_builds_there_and_leaves_ray_as_it_was(cluster, tmp_path, monkeypatch):
    data, model = write_clips(tmp_path / "clips"), saved(tmp_path / "teacher", random_model(CONFIGS["wav2vec2"]))
    ray.shutdown()
    sections = {"teacher": {"model": model}, "resources": {"address": cluster.address}}
    shared = make_shared(sweep_of(data, **sections), open_home(tmp_path / "home"), silent_steps)
    assert not ray.is_initialized()
    alone = make_shared(sweep_of(data, teacher={"model": model}), open_home(tmp_path / "alone"), silent_steps)
    assert shared.corpus.name == alone.corpus.name
    # Not the head's fingerprint: on another number of threads sums round otherwise.
    states = [np.load(made.corpus / "train/hidden.wav2vec2.npy").astype(np.float32) for made in (shared, alone)]
    np.testing.assert_allclose(*states, rtol=2e-3, atol=2e-3)
