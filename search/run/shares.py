"""What Ray reserves for each trial of CPUs and GPUs. Shares of a GPU are measured, not guessed."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import ray
import torch

from search.run.nodes import alive_nodes
from search.run.resources import may_have
from spaces.errors import Fault, refuse
from spaces.parameters import Choice, Range, Widths
from spaces.sections import Resources
from spaces.space import Space
from spaces.sweep import SweepConfig
from spaces.trial import TrialConfig
from trainables.memory import MemoryNeed, measure_need

Batch = tuple[str, int]
"""A student and its batch size."""

log = logging.getLogger(__name__)

BATCH_SIZE = "training.batch_size"
HEADROOM = 1.2  # of memory over what one step took: allocators fragment
MOST_A_GPU = 16  # trials; more only wait for each other's kernels
FINEST = 10_000  # Ray counts resources in ten thousandths


class Shares:
    """The share of a GPU that trials of a student get, by the GPU's type and the batch size.

    Args:
        cpus: of every trial.
        gpus: (student, batch size) to share, 0 where there is no GPU; of each type of GPU, or under ``None`` of any.
    """

    def __init__(self, cpus: float, gpus: Mapping[str | None, Mapping[Batch, float]]) -> None:
        self.cpus = cpus
        self._gpus = {gpu_type: dict(shares) for gpu_type, shares in gpus.items()}

    @property
    def types(self) -> tuple[str | None, ...]:
        """Of the GPUs that trials may run on; ``None`` alone where it does not matter."""
        return tuple(self._gpus)

    def takes(self, gpu_type: str | None) -> bool:
        """Whether a trial may run on a node with GPUs of this type."""
        return None in self._gpus or gpu_type in self._gpus

    def of(self, config: TrialConfig, gpu_type: str | None = None) -> dict[str, Any]:
        """What Ray reserves for a trial on a GPU of a type; of a batch size between two measured, the larger's."""
        if None in self._gpus:
            return {"cpu": self.cpus, "gpu": self._share(None, config)}
        return {"cpu": self.cpus, "gpu": self._share(gpu_type, config), "gpu_type": gpu_type}

    def __or__(self, other: "Shares") -> "Shares":
        """Both, each of its own types of GPU."""
        return Shares(self.cpus, self._gpus | other._gpus)

    def enlarge(self, config: TrialConfig, failed: float, gpu_type: str | None = None) -> bool:
        """Twice the share of a type from now on for trials like this one, which ran out of memory on ``failed`` of it.

        Returns:
            Whether there is more to give; not where it had a whole GPU.
        """
        if not 0 < failed < 1:
            return False
        shares = self._gpus[gpu_type]
        key = _key(config, shares)
        shares[key] = max(shares[key], whole_share(2 * failed))
        return True

    @property
    def smallest(self) -> dict[str, float]:
        """What is enough for the least demanding trial on a GPU of any type."""
        return {"cpu": self.cpus, "gpu": max(min(shares.values()) for shares in self._gpus.values())}

    def smallest_on(self, gpu_type: str | None) -> dict[str, float]:
        """What the least demanding trial gets on a node with GPUs of a type that trials may run on."""
        return {"cpu": self.cpus, "gpu": min(self._gpus[None if None in self._gpus else gpu_type].values())}

    def _share(self, gpu_type: str | None, config: TrialConfig) -> float:
        return self._gpus[gpu_type][_key(config, self._gpus[gpu_type])]


def whole_share(share: float) -> float:
    """The smallest share at least as large of which a whole number fills a GPU: .3 becomes a third.

    >>> whole_share(0.3), whole_share(0.6)
    (0.3333, 1.0)
    """
    n = max(1, int(1 / share + 1e-9))
    return FINEST // n / FINEST


def share_of(need: MemoryNeed) -> float:
    """The share for a trial of this need, with headroom, and not so small that a GPU holds too many."""
    return whole_share(min(1.0, max(HEADROOM * need.peak_bytes / need.device_bytes, 1 / MOST_A_GPU)))


def batch_sizes(space: Space) -> list[int]:
    """The batch sizes for which need is measured: every choice, or the largest of a range."""
    parameter = space.parameters.get(BATCH_SIZE)
    if isinstance(parameter, Choice):
        return sorted(int(size) for size in parameter.choices)
    if isinstance(parameter, Range):
        return [int(parameter.high)]
    return [int(space.fixed.get(BATCH_SIZE, TrialConfig().training.batch_size))]


def heaviest_trial(sweep: SweepConfig, student: str, space: Space, batch_size: int, n_layers: int) -> TrialConfig:
    """A trial of the batch size that needs the most memory: all that the teacher offers is learnt."""
    widest = {key: each.extremes[-1] for key, each in space.parameters.items() if isinstance(each, Widths)}
    demanding = widest | {
        "distillation.alpha": 0.5,
        "distillation.feature_alignment_enabled": True,
        "distillation.alignment_layers": list(range(n_layers)),
        BATCH_SIZE: batch_size,
    }
    return sweep.trial_config(student, {**space.fixed, **demanding}, number=0)


def shares_of(sweep: SweepConfig, spaces: Mapping[str, Space], n_layers: int, corpus: str, head: str) -> Shares:
    """What the sweep's file says of GPUs, else what is measured; none where the cluster has none and gets none."""
    resources = sweep.resources
    types = [node.gpu_type for node in alive_nodes() if node.gpus]
    if resources.gpus_per_trial is not None or not (resources.gpu_types or may_have(resources, "GPU")):
        return given_shares(resources, spaces, {None: resources.gpus_per_trial or 0.0})
    if absent := [name for name in resources.gpu_types if name not in types]:
        log.warning("no node has a GPU of type %s yet; trials run there once one has", ", ".join(absent))
    shares = given_shares(resources, spaces, {name: share for name, share in resources.gpu_types.items() if share})
    unknown: list[str | None] = [name for name, share in resources.gpu_types.items() if share is None]
    if not resources.gpu_types:
        # Of one type, or of none that Ray can tell, a trial may go anywhere.
        unknown = [*sorted({name for name in types if name})] if len(set(types)) > 1 else [None]
    elif shares.types or len(absent) < len(unknown):
        # What is not there cannot be measured now, and is waited for only where there is nothing else.
        unknown = [name for name in unknown if name not in absent]
    if unknown:
        shares |= measured_shares(sweep, spaces, n_layers, corpus, head, unknown)
    return shares


def given_shares(resources: Resources, spaces: Mapping[str, Space], gpus: Mapping[str | None, float]) -> Shares:
    """The same share for every trial, of each type of GPU."""
    sizes = [(student, size) for student, space in spaces.items() for size in batch_sizes(space)]
    return Shares(resources.cpus_per_trial, {name: dict.fromkeys(sizes, share) for name, share in gpus.items()})


def measured_shares(
    sweep: SweepConfig,
    spaces: Mapping[str, Space],
    n_layers: int,
    corpus: str,
    head: str,
    types: Sequence[str | None] = (None,),
    on: str = "cuda",
) -> Shares:
    """Shares by what one step of the heaviest trial of each student and batch size took, on a GPU of its own.

    Ray must run; each is measured in a process of its own, as many at once as there are GPUs.

    Args:
        types: of GPUs; ``None`` measures on any.
        on: the torch device to measure on.

    Raises:
        InputError: trials that do not fit a whole GPU.
    """
    settings = corpus, head, sweep.resources.corpus_placement, on
    probe = ray.remote(num_cpus=0, num_gpus=1, max_calls=1)(measure_need)
    pending = {
        (name, student, size): probe.options(accelerator_type=name).remote(
            heaviest_trial(sweep, student, space, size, n_layers).flat(), *settings
        )
        for name in types
        for student, space in spaces.items()
        for size in batch_sizes(space)
    }
    shares: dict[str | None, dict[Batch, float]] = {name: {} for name in types}
    faults = []
    for (name, student, size), answer in pending.items():
        try:
            need = ray.get(answer)
        except torch.OutOfMemoryError:
            remedy = f"does not fit a whole {name or 'GPU'}; lower it, or take a smaller student"
            faults.append(Fault(sweep.name, f"students.{student}: {BATCH_SIZE}", size, remedy))
            continue
        shares[name][student, size] = share_of(need)
        told = "%s, batch %d: %.2f GB at its peak, %d trials a %s"
        log.info(told, student, size, need.peak_bytes / 1e9, round(1 / shares[name][student, size]), name or "GPU")
    refuse(faults)
    return Shares(sweep.resources.cpus_per_trial, shares)


def _key(config: TrialConfig, shares: Mapping[Batch, float]) -> Batch:
    student, size = config.model.architecture, config.training.batch_size
    measured = sorted(batch for name, batch in shares if name == student)
    return student, next((batch for batch in measured if batch >= size), measured[-1])
