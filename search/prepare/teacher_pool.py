"""The teacher pass on many GPUs or nodes: Ray actors that compute shards of one corpus.

A pool of actors rather than Ray Data, because none of what Ray Data brings is wanted: shards may be done in any order
and twice, each is on disk before it counts, resumption follows the corpus' own markers, and blocks that travel through
the object store would copy gigabytes which every node can read and write where they lie.

Ray's own retries (``max_restarts``, ``max_task_retries``) keep a lost worker's shards waiting for that same worker,
for ever if no node has room for it. Here they go back into the queue for all the others, and another worker is asked
for, which joins when there is room.
"""

import logging
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import ray
import torch
from ray.exceptions import ActorUnschedulableError, ObjectStoreFullError, OutOfDiskError, RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from spaces.errors import Fault, InputError, refuse
from spaces.sections import here
from trainables.corpus.fill import WriteShard, fill_here
from trainables.corpus.recipe import Recipe
from trainables.corpus.shards import MARKERS, Shard, missing, write_shard
from trainables.corpus.stored import collect_shards, exchange_of, leave_shard
from trainables.storage.cache import Cache
from trainables.storage.path import StoragePath
from trainables.storage.told import StorageError
from trainables.teachers.base import fastest_device

CPUS_PER_WORKER = 4  # a forward pass gains little from more
START_SECONDS = 60.0  # after which the workers that are up begin; later ones join them
POLL_SECONDS = 0.5
LOSSES_PER_SHARD = 3

log = logging.getLogger(__name__)


class Place(NamedTuple):
    """Room for one worker on a node of the cluster."""

    node: str
    n_cpus: int
    n_gpus: int

    @property
    def options(self) -> dict[str, Any]:
        """As Ray takes them; the node is fixed, so that each is used, and checked before."""
        return self.anywhere | {"scheduling_strategy": NodeAffinitySchedulingStrategy(self.node, soft=False)}

    @property
    def anywhere(self) -> dict[str, Any]:
        """The same room on any node."""
        return {"num_cpus": self.n_cpus, "num_gpus": self.n_gpus}


def places(cpus_too: bool = True) -> list[Place]:
    """One place a GPU of the running cluster, and one for every four CPUs of a node without, but one at least.

    Args:
        cpus_too: in a cluster with GPUs, take its nodes without any as well.
    """
    nodes = [(node["NodeID"], node["Resources"]) for node in ray.nodes() if node["Alive"]]
    with_gpus = any(has.get("GPU", 0) >= 1 for _, has in nodes)
    found = []
    for node, has in nodes:
        n_cpus, n_gpus = int(has.get("CPU", 0)), int(has.get("GPU", 0))
        on_cpus = max(n_cpus // CPUS_PER_WORKER, min(n_cpus, 1)) if cpus_too or not with_gpus else 0
        n_workers = n_gpus or on_cpus
        found += [Place(node, n_cpus // n_workers, min(n_gpus, 1)) for _ in range(n_workers)]
    return found


def computes_on_cpus(recipe: Recipe) -> bool:
    """Whether nodes without a GPU can say what those with one say: a half precision is a GPU's alone."""
    return all(encoder.precision == "float32" for encoder in recipe.encoders.values())


def fill_by_pool(
    recipe: Recipe,
    folder: Path,
    shards: Sequence[Shard],
    on_shard: Callable[[Shard], None],
    storage: StoragePath | None = None,
) -> None:
    """Have the running cluster compute shards into ``folder``; see `trainables.corpus.build.Fill`.

    Args:
        storage: through which workers whose nodes do not see the folder hand their shards over.

    Raises:
        InputError: a node sees neither the folder nor storage, or not the clips, a clip is no longer what was
            checked, or Ray's object store has no room for the teacher.
        RuntimeError: a shard lost its worker three times, or no worker is left.
        StorageError: storage failed in the middle.
    """
    if not shards:
        return
    exchange = exchange_of(folder, storage) if storage else None
    with _token(folder, exchange) as token:
        pool = _Pool(_handed_out(recipe), folder, token, deque(shards), exchange)
        try:
            for place in places(computes_on_cpus(recipe)):
                pool.start(place, place.options)
            pool.wait_for_workers()
            pool.collect(shards)  # of an earlier build that was cut short
            pool.queue = deque(missing(folder, shards))
            pending = set(shards)
            while pending:
                pool.assign()
                refuse(pool.wait())
                pool.collect(pending)
                # By the markers, so that a shard counts when it is written and not when its worker is done.
                for shard in pending - set(missing(folder, pending)):
                    on_shard(shard)
                    pending.remove(shard)
        finally:
            pool.close()
    if exchange:
        exchange.remove()


def _handed_out(recipe: Recipe) -> Any:
    """The recipe in Ray's object store, where all workers read it."""
    try:
        return ray.put(recipe)
    except (ObjectStoreFullError, OutOfDiskError):
        remedy = "has no room for the teacher, nor has the disk that it spills to; make room there, wait until " \
                 "others on the cluster are done, or start Ray with a larger --object-store-memory"  # fmt: skip
        raise InputError(Fault("Ray's object store", "", None, remedy)) from None


@contextmanager
def _token(folder: Path, exchange: StoragePath | None) -> Iterator[str]:
    """A file of a name that no other node's folder at the same path has, nor its storage."""
    file = folder / MARKERS / f".{uuid4().hex}"
    file.touch()
    if exchange:
        exchange.at(file.name).write(b"")
    try:
        yield file.name
    finally:
        file.unlink()
        if exchange:
            exchange.at(file.name).remove()


class Worker:
    """An actor that computes shards as `fill_here` does, on a GPU of its own where there are GPUs."""

    def __init__(self, recipe: Recipe, n_cpus: int) -> None:
        torch.set_num_threads(max(n_cpus, 1))
        self.recipe = recipe
        self.write: WriteShard = write_shard
        for encoder in recipe.encoders.values():
            encoder.to(fastest_device())

    def faults(self, folder: Path, token: str, exchange: StoragePath | None = None) -> list[Fault]:
        """What this node does not see of the corpus' folder or else of storage, of the clips and the recordings.

        It fetches those that come from storage.
        """
        node = f"the node {os.uname().nodename}, which is to run the teacher"
        remedy = f"is not on {node}; put it on storage that all nodes share under one path"
        if not (folder / MARKERS / token).exists():
            if exchange is None:
                told = f"{remedy}, or set DISTUNE_HOME to a folder there, or name a bucket by resources.storage"
                return [Fault(str(folder.parent), "", None, told)]
            self.write = lambda _, shard, arrays: leave_shard(exchange, shard, arrays)
        try:
            if exchange and not exchange.at(token).exists():
                raise StorageError(f"{exchange} is another folder there")
            if exchange:
                exchange.try_out()
            self.recipe = self.recipe.on_this_node(Cache.here())
        except StorageError as error:
            return [Fault("sweep", "resources.storage", None, f"does not serve {node}: {error}")]
        except InputError as error:
            return error.faults
        settings = self.recipe.views.views
        # One clip of each folder: what a node lacks is a mount, and with it all of them.
        clips = {clip.clip.path.parent: clip.clip.path for clip in self.recipe.clips.clips}
        paths = [*clips.values(), *map(here, settings.noise), *map(here, settings.rir)]
        told = f"{remedy}, or name a bucket where it lies"
        return [Fault(str(path), "", None, told) for path in paths if not path.exists()]

    def build(self, folder: Path, shards: Sequence[Shard]) -> list[Fault]:
        """Compute shards; a clip at fault is returned, because Ray would lose the faults of an error."""
        try:
            fill_here(self.recipe, folder, shards, lambda shard: None, self.write)
        except InputError as error:
            return error.faults
        return []


class _Call(NamedTuple):
    """What a worker is about: looking at the files, where ``shards`` is empty, else building."""

    worker: Any
    place: Place
    shards: list[Shard]


@dataclass
class _Pool:
    """Idle workers, the calls under way, and the shards that are yet to be given out."""

    recipe: Any  # in Ray's object store
    folder: Path
    token: str
    queue: deque[Shard]
    exchange: StoragePath | None = None
    idle: list[tuple[Any, Place]] = field(default_factory=list)
    calls: dict[Any, _Call] = field(default_factory=dict)
    losses: Counter[Shard] = field(default_factory=Counter)

    def start(self, place: Place, options: dict[str, Any]) -> None:
        """Ask for a worker; it is idle once it has looked at the files."""
        worker = ray.remote(Worker).options(**options).remote(self.recipe, place.n_cpus)
        self.calls[worker.faults.remote(self.folder, self.token, self.exchange)] = _Call(worker, place, [])

    def wait_for_workers(self) -> None:
        """Until all have looked at the files, or, where some take long, at least one."""
        deadline = time.monotonic() + START_SECONDS
        faults: list[Fault] = []
        told = False
        while self.calls and (time.monotonic() < deadline or not self.idle):
            faults += self.wait()
            if time.monotonic() > deadline and not told:
                told = True
                log.warning("the teacher pass waits for room on the cluster: %d workers are not up", len(self.calls))
        refuse(faults)

    def assign(self) -> None:
        """Give idle workers shards: many at first, so that loading runs on, few at last, so that all end together."""
        n_workers = len(self.idle) + sum(bool(call.shards) for call in self.calls.values())
        # Beside GPUs, a CPU is so slow that all would wait at the end for more than one of its shards.
        known = [*(place for _, place in self.idle), *(call.place for call in self.calls.values())]
        with_gpus = any(place.n_gpus for place in known)
        while self.idle and self.queue:
            worker, place = self.idle.pop()
            n_shards = 1 if with_gpus and not place.n_gpus else max(1, len(self.queue) // (2 * n_workers))
            shards = [self.queue.popleft() for _ in range(n_shards)]
            self.calls[worker.build.remote(self.folder, shards)] = _Call(worker, place, shards)

    def wait(self) -> list[Fault]:
        """Hear of the next call to end, for half a second at most; what the worker found at fault."""
        if not self.calls:
            if not self.idle:
                raise RuntimeError("the teacher pass has no worker left on the cluster; see Ray's logs, start again")
            time.sleep(POLL_SECONDS)  # a shared disk may show markers late
            return []
        ended, _ = ray.wait(list(self.calls), num_returns=1, timeout=POLL_SECONDS)
        for reference in ended:
            call = self.calls.pop(reference)
            try:
                faults: list[Fault] = ray.get(reference)
            except (RayActorError, ActorUnschedulableError) as error:
                self._lost(call, error)
            else:
                self.idle.append((call.worker, call.place))
                return faults
        return []

    def collect(self, shards: Iterable[Shard]) -> None:
        """Take in what workers left on storage."""
        if self.exchange:
            collect_shards(self.exchange, self.folder, shards)

    def _lost(self, call: _Call, error: Exception) -> None:
        self.collect(call.shards)
        left = missing(self.folder, call.shards)
        log.warning("the teacher pass lost a worker; others take its %d shards over: %s", len(left), error)
        self.losses.update(left)
        if any(self.losses[shard] == LOSSES_PER_SHARD for shard in left):
            raise RuntimeError(f"the teacher pass lost {LOSSES_PER_SHARD} workers over one shard; see Ray's logs")
        self.queue.extendleft(reversed(left))
        # One that could not even start is not asked for again.
        if call.shards:
            self.start(call.place, call.place.anywhere)

    def close(self) -> None:
        """End all workers, so that trials get their CPUs and GPUs."""
        for worker in [*(idle[0] for idle in self.idle), *(call.worker for call in self.calls.values())]:
            ray.kill(worker)
