"""Ray's object store is full of what others put there, and its disk has no room for more."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import ray
import torch

from search.prepare.teacher_pool import fill_by_pool
from search.run.starting import started
from spaces.errors import InputError
from tests.trainables.recipes import recipe_of, write_clips
from trainables.corpus.build import build_corpus
from trainables.teachers.base import Encoder

pytestmark = pytest.mark.slow

STORE_BYTES, PIECE_BYTES = 80 * 2**20, 4 * 2**20
# A disk that is "full" from the first byte on, so that nothing is put there instead.
NO_DISK = {"local_fs_capacity_threshold": 0.0001, "automatic_object_spilling_enabled": False}
FULL = (ray.exceptions.ObjectStoreFullError, ray.exceptions.OutOfDiskError)


@pytest.fixture
def full_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Ray with a store that holds nothing more; references to what fills it."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_object_store_full_delay_ms", "10")
    settings = {"object_store_memory": STORE_BYTES, "include_dashboard": False, "_system_config": NO_DISK}
    started(lambda: ray.init("local", num_cpus=2, log_to_driver=False, logging_level="ERROR", **settings))
    kept: list[Any] = []
    try:
        with pytest.raises(FULL):
            while True:
                kept.append(ray.put(np.zeros(PIECE_BYTES, np.uint8)))
        yield kept
    finally:
        ray.shutdown()


def test_trials_need_no_room_in_the_object_store(full_store, searching, monkeypatch):
    assert len(full_store) * PIECE_BYTES > STORE_BYTES / 2
    sweep = searching(n_epochs=4, epoch_seconds=0.1)
    record = sweep.run(monkeypatch)
    sweep.assert_whole(record, most_repeated=0)
    with pytest.raises(FULL):
        ray.put(np.zeros(PIECE_BYTES, np.uint8))


class Heavy(Encoder):
    """More than there is room for."""

    name, n_layers, dim = "heavy", 1, 1

    def __init__(self) -> None:
        super().__init__()
        self.weights = torch.nn.Parameter(torch.zeros(STORE_BYTES // 4))

    def description(self) -> dict[str, Any]:
        return {}


def test_a_teacher_that_finds_no_room_is_refused(full_store, tmp_path):
    recipe = recipe_of(write_clips(tmp_path / "recordings"), Heavy())
    with pytest.raises(InputError, match=r"Ray's object store: has no room for the teacher, .* --object-store-memory"):
        build_corpus(recipe, tmp_path / "corpora", fill=fill_by_pool)
