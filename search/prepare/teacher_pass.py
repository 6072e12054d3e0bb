"""Where the teacher pass runs, decided from the sweep: in this process, or on a pool of Ray actors."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

import ray
import torch

from search.prepare.teacher_pool import fill_by_pool
from search.run.resources import may_have, start_ray, workers_called
from spaces.sweep import SweepConfig
from trainables.corpus.build import Fill
from trainables.corpus.fill import fill_here
from trainables.corpus.recipe import Recipe
from trainables.corpus.shards import Shard
from trainables.storage.path import StoragePath
from trainables.teachers.base import Precision, fastest_device
from trainables.teachers.precision import native_precision, settle


class Pass(NamedTuple):
    """Where this process' encoders belong, how exactly the teacher computes, and who computes the shards."""

    device: str
    precision: Precision
    fill: Fill


def plan_pass(sweep: SweepConfig) -> AbstractContextManager[Pass]:
    """A pool where the sweep names a cluster or this machine has several GPUs, else this process.

    Nothing is started before the block is entered; a pool's block ends the Ray that it had to start.

    Raises:
        InputError: a half precision on a CPU. On entering a pool's block: no cluster answers, or it has no GPU for a
            half precision.
    """
    if sweep.resources.address is not None or torch.cuda.device_count() > 1:
        return _pool(sweep)
    precision = settle(sweep.teacher, native_precision(torch.cuda.is_available()))
    return nullcontext(Pass(fastest_device(), precision, fill_here))


@contextmanager
def _pool(sweep: SweepConfig) -> Iterator[Pass]:
    running = ray.is_initialized()
    if not running:
        start_ray(sweep.resources)
    try:
        on_gpu, storage = may_have(sweep.resources, "GPU"), sweep.resources.storage
        by_pool = partial(fill_by_pool, storage=StoragePath(storage)) if storage else fill_by_pool

        def fill(recipe: Recipe, folder: Path, shards: Sequence[Shard], on_shard: Callable[[Shard], None]) -> None:
            if shards:
                with workers_called(sweep.resources, "GPU" if on_gpu else "CPU"):
                    by_pool(recipe, folder, shards, on_shard)

        yield Pass("cpu", settle(sweep.teacher, native_precision(on_gpu)), fill)
    finally:
        if not running:
            ray.shutdown()
