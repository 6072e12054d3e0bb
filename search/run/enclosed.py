"""Ray on this machine alone: it listens on loopback, and none of its processes knows a login of MLflow's."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ray._private import ray_constants

from search.secret_files import narrow_ray_token
from search.tracking.settings import PASSWORD, USER

LOGIN = (USER, PASSWORD, "MLFLOW_TRACKING_TOKEN")
SINGLE_MACHINE = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR


@contextmanager
def enclosed() -> Iterator[None]:
    """Let what Ray starts in the block be reached from this machine alone, and keep no login.

    Ray listens on every network unless it knows itself as what it is on Windows and macOS, where it builds no clusters
    (ray/_private/services.py, get_node_ip_address); its address as an argument is replaced by that of the network. The
    driver writes to MLflow, no trial does, so their processes need no login in their environment.
    """
    changed = {name: None for name in LOGIN} | {SINGLE_MACHINE: "0"}
    before = {name: os.environ.pop(name, None) for name in changed}
    clusters = ray_constants.ENABLE_RAY_CLUSTER
    try:
        os.environ |= {name: value for name, value in changed.items() if value is not None}
        ray_constants.ENABLE_RAY_CLUSTER = False  # read from the environment when Ray was imported
        yield
    finally:
        narrow_ray_token()
        ray_constants.ENABLE_RAY_CLUSTER = clusters
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
