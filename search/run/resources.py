"""Ray: starting or joining it, what its machines have or may come to have, and how many trials fit them."""

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.autoscaler.sdk import request_resources

from search.run.enclosed import enclosed
from search.run.starting import started
from search.secret_files import narrow_ray_token
from spaces.documents import read_yaml
from spaces.errors import Fault, InputError
from spaces.sections import Resources

OBJECT_STORE_BYTES = 200_000_000  # trials read the corpus from disk, so little passes through it
# Where `ray up` leaves on a head what its autoscaler may start (ray/autoscaler/_private/commands.py).
AUTOSCALING = "ray_bootstrap_config.yaml"
# Set on a head that KubeRay started, whose autoscaler tells nobody what it may start (ray/_common/usage).
KUBERAY = "RAY_USAGE_STATS_KUBERAY_IN_USE"
HEAD = "node:__internal_head__"  # a resource that the head alone has
ROUNDING = 1e-9
SECONDS_BETWEEN_TELLING = 60.0

log = logging.getLogger(__name__)


def start_ray(resources: Resources) -> None:
    """Join the cluster at ``resources.address``, or start Ray on this machine, reachable from it alone.

    Nothing happens where this process has done so.

    Raises:
        InputError: no cluster answers at the address.
    """
    if ray.is_initialized():
        return
    # Results go to our own record; Tune's files and tables would only slow the sweep and tear the screen.
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_PRINT_ALL_TRIAL_ERRORS", "0")
    # Tune's own state is written once, at the end: it grows with the trials, and nothing is resumed from it.
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "inf")
    logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if resources.address is None:
        # Without "local", Ray would join whatever cluster this machine or RAY_ADDRESS knows.
        with enclosed():
            settings = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES, **quiet}
            started(lambda: ray.init("local", **settings))
        return
    narrow_ray_token()
    try:
        ray.init(address=resources.address, **quiet)
    except ConnectionError as error:
        remedy = f"no Ray cluster answers there ({error}); start it, or leave the key out to run on this machine"
        raise InputError(Fault("sweep", "resources.address", resources.address, remedy)) from None


def machines(resources: Resources) -> list[Mapping[str, float]]:
    """What each node of the running cluster has, those counted that its autoscaler has not started yet.

    Those are known where this process runs on the head, as a sweep's driver does, of a cluster that `ray up` launched.
    """
    there = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    (here,) = [node["Resources"] for node in ray.nodes() if node["NodeID"] == ray.get_runtime_context().get_node_id()]
    file = Path.home() / AUTOSCALING
    if resources.address is None or HEAD not in here or not file.is_file():
        return there
    workers = most_workers(read_yaml(file))
    return max(there, [here, *workers], key=len)


def most_workers(autoscaling: Mapping[str, Any]) -> list[Mapping[str, float]]:
    """What the workers have that an autoscaler's configuration allows, those with most GPUs first.

    Machines that tell what they have only once they are up, as those named by address do, are not among them.
    """
    kinds = dict(autoscaling.get("available_node_types") or {})
    kinds.pop(autoscaling.get("head_node_type"), None)
    found = [kind["resources"] for kind in kinds.values() for _ in range(kind.get("max_workers", 0))]
    found.sort(key=lambda has: (has.get("GPU", 0), has.get("CPU", 0)), reverse=True)
    return [has for has in found if has][: autoscaling.get("max_workers", 0)]


def may_have(resources: Resources, kind: str) -> bool:
    """Whether a machine of the cluster has some of a resource, or one that may yet come."""
    said = _said_to_grow(resources) and kind == "GPU" and bool(resources.gpus_per_trial)
    return said or any(has.get(kind) for has in machines(resources))


def _said_to_grow(resources: Resources) -> bool:
    """Whether the cluster starts machines of which only the sweep's file knows, by how many trials it wants at once."""
    return resources.address is not None and resources.max_concurrent_trials is not None and KUBERAY in os.environ


@contextmanager
def workers_called(resources: Resources, kind: str) -> Iterator[None]:
    """Run the block once a node has some of the resource: where none has, the autoscaler is asked for all that may.

    An autoscaler goes by what is asked for: what first looks where there is room and asks for that never gets any.
    """
    wanted = [{kind: has[kind]} for has in machines(resources) if has.get(kind)]
    if not wanted and _said_to_grow(resources):
        wanted = [{kind: 1.0}]
    if ray.cluster_resources().get(kind) or not wanted:
        yield
        return
    request_resources(bundles=wanted)
    told = float("-inf")
    try:
        while not ray.cluster_resources().get(kind):
            if time.monotonic() - told > SECONDS_BETWEEN_TELLING:
                told = time.monotonic()
                log.warning("the cluster has no %s yet; its autoscaler was asked for some, which takes minutes", kind)
            time.sleep(0.5)
        yield
    finally:
        request_resources(bundles=[])


def trials_at_once(resources: Resources, share: Mapping[str, float]) -> int:
    """How many trials fit the cluster, with the workers that its autoscaler may add: all are asked for at once.

    Args:
        share: what the least demanding of them reserves.

    Raises:
        InputError: not even one.
    """
    wants = {kind.upper(): amount for kind, amount in share.items() if amount}
    room = (min(has.get(kind, 0) / amount for kind, amount in wants.items()) for has in machines(resources))
    fits = sum(int(n_trials + ROUNDING) for n_trials in room)
    most = resources.max_concurrent_trials
    if fits:
        return min(fits, most or fits)
    if most is not None and _said_to_grow(resources):
        log.warning("no machine of the cluster has room for a trial, which wants %s: waiting until one comes", wants)
        return most
    has = ray.cluster_resources()
    remedy = f"a trial wants {dict(share)} and the cluster has {has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} " \
             f"GPUs; lower cpus_per_trial or gpus_per_trial"  # fmt: skip
    if KUBERAY in os.environ:
        remedy += ", or say by max_concurrent_trials for how many trials machines will come"
    raise InputError(Fault("sweep", "resources", None, remedy))
