"""What ended a trial that did not end itself, read from what Ray Tune keeps of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from ray import cloudpickle
from ray.exceptions import ActorUnavailableError, RayActorError, RayError, RayTaskError
from ray.tune.experiment import Trial

from search.owned import is_own
from trainables.patience import tells_of_storage

NODE_DIED = "its node has died"  # Ray has no class for it, nor a field


@dataclass(frozen=True)
class Failure:
    """Why a trial failed.

    Args:
        reason: in one line.
        out_of_memory: its GPU had no room for it.
        worker_died: its process, its machine or its storage ended under it; it can go on elsewhere.
        machine_lost: with all that ran there, which says nothing against the trial: taken away, dead or out of reach.
    """

    reason: str
    out_of_memory: bool = False
    worker_died: bool = False
    machine_lost: bool = False

    @classmethod
    def of(cls, trial: Trial) -> Self:
        """Of a trial that Tune just reported as failed."""
        # Not trial.get_error(): it reads a copy that Tune makes after its callbacks ran.
        if trial.pickled_error_file is None or not is_own(Path(trial.pickled_error_file)):
            return cls(_last_line(Path(trial.error_file).read_text(encoding="utf-8")))
        error = cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())
        error = error.cause if isinstance(error, RayTaskError) else error
        if isinstance(error, RayActorError) and error.actor_init_failed:
            # It raised in its setup; Ray keeps the traceback as text alone.
            reason = _last_line(str(error))
            no_memory = reason.startswith(f"{torch.OutOfMemoryError.__module__}.OutOfMemoryError")
            return cls(reason, out_of_memory=no_memory, worker_died=tells_of_storage(reason))
        if isinstance(error, ActorUnavailableError):
            # So Ray tells of a node that is killed in mid-epoch, well before it takes the node for dead.
            return cls("its worker, or the node of it, no longer answers", worker_died=True, machine_lost=True)
        if isinstance(error, RayError):
            preempted = isinstance(error, RayActorError) and error.preempted
            return cls(_cause_of_death(str(error)), worker_died=True, machine_lost=preempted or NODE_DIED in str(error))
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        no_memory = isinstance(error, torch.OutOfMemoryError)
        return cls(reason, out_of_memory=no_memory, worker_died=tells_of_storage(reason))


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


def _cause_of_death(text: str) -> str:
    """The first sentence that says more than that it died; the lines before it are a title and addresses."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("\t")]
    return (lines[1] if len(lines) > 1 else lines[0]).split(". ")[0].strip()
