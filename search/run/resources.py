"""Ray: starting or joining it, and how many trials fit it."""

import logging
import os

import ray

from spaces.errors import Fault, InputError
from spaces.sections import Resources

OBJECT_STORE_BYTES = 200_000_000  # trials read the corpus from disk, so little passes through it


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
        ray.init("local", include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES, **quiet)
        return
    try:
        ray.init(address=resources.address, **quiet)
    except ConnectionError as error:
        remedy = f"no Ray cluster answers there ({error}); start it, or leave the key out to run on this machine"
        raise InputError(Fault("sweep", "resources.address", resources.address, remedy)) from None


def trials_at_once(resources: Resources, share: dict[str, float]) -> int:
    """How many trials fit the cluster as it stands.

    Args:
        share: what the least demanding of them reserves.

    Raises:
        InputError: not even one.
    """
    available = ray.cluster_resources()
    fits = min(int(available.get(kind.upper(), 0) // amount) for kind, amount in share.items() if amount)
    if fits == 0:
        remedy = f"a trial wants {share} and the cluster has {available.get('CPU', 0):g} CPUs and " \
                 f"{available.get('GPU', 0):g} GPUs; lower cpus_per_trial or gpus_per_trial"  # fmt: skip
        raise InputError(Fault("sweep", "resources", None, remedy))
    return min(fits, resources.max_concurrent_trials or fits)
