"""That all nodes can read what trials need, found out before the first trial; and where trials leave checkpoints."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pyarrow.fs
import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.home import SweepFolder
from spaces.errors import Fault, InputError, refuse
from spaces.sweep import SweepConfig
from trainables.corpus.store import MANIFEST
from trainables.corpus.stored import corpus_here
from trainables.storage.path import StoragePath
from trainables.storage.told import StorageError

log = logging.getLogger(__name__)


def refuse_blind_nodes(sweep: SweepConfig, corpus: str, head: str) -> None:
    """Have every node that may run trials read the corpus, and fetch it where that is from storage; Ray must run.

    Args:
        corpus: as of `trainables.corpus.stored.corpus_here`.

    Raises:
        InputError: every node that cannot.
    """
    on_gpus = ray.cluster_resources().get("GPU") and sweep.resources.gpus_per_trial != 0
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU" if on_gpus else "CPU")]
    if len(nodes) == 1 and nodes[0]["NodeID"] == ray.get_runtime_context().get_node_id():
        return  # this machine alone, which has just made it
    look = ray.remote(num_cpus=0, max_retries=0)(node_faults)
    faults: list[Fault] = []
    with _token(sweep) as token:
        answers = [
            look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
                sweep.name, corpus, head, token
            )
            for node in nodes
        ]
        for node, answer in zip(nodes, answers, strict=True):
            try:
                faults += ray.get(answer)
            except RayError as error:
                # It went away; trials that land on a node which comes later fetch for themselves.
                told = "the node %s did not say whether it can read the corpus: %s"
                log.warning(told, node["NodeManagerHostname"], error)
    refuse(faults)


@contextmanager
def _token(sweep: SweepConfig) -> Iterator[StoragePath | None]:
    """A file on the sweep's storage, of a name that no other folder has; nothing where it names no storage."""
    if sweep.resources.storage is None:
        yield None
        return
    token = StoragePath(sweep.resources.storage).at(f".{uuid4().hex}")
    token.write(b"")
    try:
        yield token
    finally:
        token.remove()


def node_faults(name: str, corpus: str, head: str, token: StoragePath | None) -> list[Fault]:
    """What keeps this node from storage and corpus; run on it. Returned, for Ray loses the faults of an error."""
    node = f"the node {os.uname().nodename}"
    try:
        if token:
            if not token.exists():
                raise StorageError(f"{token.parent} is another folder there")
            token.parent.try_out()
        folder = corpus_here(corpus, head)
    except StorageError as error:
        remedy = f"cannot be used by {node}: {error}; give it access, or name storage that all nodes reach"
        return [Fault(name, "resources.storage", None, remedy)]
    except InputError as error:
        return error.faults
    if (folder / MANIFEST).is_file():
        return []
    remedy = f"is not on {node}; set DISTUNE_HOME to a folder that all nodes share under one path, or name a bucket " \
             "or folder that all reach by resources.storage"  # fmt: skip
    return [Fault(str(folder), "", None, remedy)]


def checkpoints_of(sweep: SweepConfig, folder: SweepFolder) -> tuple[pyarrow.fs.FileSystem | None, str]:
    """Where trials leave checkpoints, as Ray Tune takes it: on storage where the sweep names some."""
    if sweep.resources.storage is None:
        return None, str(folder.ray)
    return StoragePath(sweep.resources.storage).at("sweeps", sweep.name, "ray").arrow()
