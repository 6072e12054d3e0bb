"""Where the teacher pass runs, decided from the sweep: in this process, or on a pool of Ray actors."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple

import ray
import torch

from search.prepare.teacher_pool import fill_by_pool, places
from search.run.resources import start_ray
from spaces.sweep import SweepConfig
from trainables.corpus.build import Fill
from trainables.corpus.fill import fill_here
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
        native = native_precision(on_gpu=any(place.n_gpus for place in places()))
        yield Pass("cpu", settle(sweep.teacher, native), fill_by_pool)
    finally:
        if not running:
            ray.shutdown()
