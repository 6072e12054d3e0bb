"""What Ray reserves for each trial of CPUs and GPUs. Shares of a GPU are measured, not guessed."""

import logging
from collections.abc import Mapping
from typing import Any

import ray
import torch
from ray.tune import PlacementGroupFactory

from spaces.errors import Fault, refuse
from spaces.parameters import Choice, Range, Widths
from spaces.sections import Resources
from spaces.space import Space
from spaces.sweep import SweepConfig
from spaces.trial import TrialConfig
from trainables.memory import MemoryNeed, measure_need

log = logging.getLogger(__name__)

BATCH_SIZE = "training.batch_size"
HEADROOM = 1.2  # of memory over what one step took: allocators fragment
MOST_A_GPU = 16  # trials; more only wait for each other's kernels
FINEST = 10_000  # Ray counts resources in ten thousandths


class Shares:
    """The share of a GPU that trials of a student get, by batch size.

    Args:
        cpus: of every trial.
        gpus: (student, batch size) to share, 0 where there is no GPU.
    """

    def __init__(self, cpus: float, gpus: Mapping[tuple[str, int], float]) -> None:
        self.cpus = cpus
        self._gpus = dict(gpus)

    def of(self, config: TrialConfig) -> dict[str, float]:
        """What Ray reserves for a trial; of a batch size between two that were measured, the larger's."""
        return {"cpu": self.cpus, "gpu": self._gpus[self._key(config)]}

    def enlarge(self, config: TrialConfig, failed: float) -> bool:
        """Twice the share from now on for trials like this one, which ran out of memory on ``failed``.

        Returns:
            Whether there is more to give; not where it had a whole GPU.
        """
        if not 0 < failed < 1:
            return False
        key = self._key(config)
        self._gpus[key] = max(self._gpus[key], whole_share(2 * failed))
        return True

    @property
    def smallest(self) -> dict[str, float]:
        """What the least demanding trial gets, which bounds how many run at once."""
        return {"cpu": self.cpus, "gpu": min(self._gpus.values())}

    def _key(self, config: TrialConfig) -> tuple[str, int]:
        student, size = config.model.architecture, config.training.batch_size
        measured = sorted(batch for name, batch in self._gpus if name == student)
        return student, next((batch for batch in measured if batch >= size), measured[-1])


def requested(config: Mapping[str, Any]) -> PlacementGroupFactory:
    """The resources that a trial's config names, as Tune asks for them."""
    named = {name.upper(): amount for name, amount in config["resources"].items() if amount}
    return PlacementGroupFactory([named])


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


def given_shares(resources: Resources, spaces: Mapping[str, Space], gpus: float) -> Shares:
    """The same share of a GPU for every trial."""
    sizes = ((student, size) for student, space in spaces.items() for size in batch_sizes(space))
    return Shares(resources.cpus_per_trial, dict.fromkeys(sizes, gpus))


def measured_shares(
    sweep: SweepConfig, spaces: Mapping[str, Space], n_layers: int, corpus: str, head: str, on: str = "cuda"
) -> Shares:
    """Shares by what one step of the heaviest trial of each student and batch size took, on a GPU of its own.

    Ray must run; each is measured in a process of its own, as many at once as there are GPUs.

    Args:
        on: the torch device to measure on.

    Raises:
        InputError: trials that do not fit a whole GPU.
    """
    settings = corpus, head, sweep.objective.model_dump(), sweep.resources.corpus_placement, on
    probe = ray.remote(num_cpus=0, num_gpus=1, max_calls=1)(measure_need)
    pending = {
        (student, size): probe.remote(heaviest_trial(sweep, student, space, size, n_layers).flat(), *settings)
        for student, space in spaces.items()
        for size in batch_sizes(space)
    }
    shares, faults = {}, []
    for (student, size), answer in pending.items():
        try:
            need = ray.get(answer)
        except torch.OutOfMemoryError:
            remedy = "does not fit a whole GPU; lower it, or take a smaller student"
            faults.append(Fault(sweep.name, f"students.{student}: {BATCH_SIZE}", size, remedy))
            continue
        shares[student, size] = share_of(need)
        told = "%s, batch %d: %.2f GB at its peak, %d trials a GPU"
        log.info(told, student, size, need.peak_bytes / 1e9, round(1 / shares[student, size]))
    refuse(faults)
    return Shares(sweep.resources.cpus_per_trial, shares)


def shares_of(sweep: SweepConfig, spaces: Mapping[str, Space], n_layers: int, corpus: str, head: str) -> Shares:
    """What the sweep's file says of GPUs, else what is measured; none where the cluster has none."""
    given = sweep.resources.gpus_per_trial
    if given is None and ray.cluster_resources().get("GPU"):
        return measured_shares(sweep, spaces, n_layers, corpus, head)
    return given_shares(sweep.resources, spaces, given or 0.0)
