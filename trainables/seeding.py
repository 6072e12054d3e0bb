"""Randomness that a run owns, so that runs in one process never disturb each other."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


class Seeds(NamedTuple):
    """Independent seeds, all from a trial's one."""

    weights: int
    data: int
    dropout: int


def seeds_of(seed: int) -> Seeds:
    """The seeds of a trial's streams: initial weights, order and augmentation of the data, dropout."""
    return Seeds(*map(int, np.random.SeedSequence(seed).generate_state(len(Seeds._fields))))


class Randomness:
    """A state of torch's global generators, for what cannot be handed a generator: weights, dropout.

    Args:
        seed: where the stream starts.
        device: its generator is held beside the CPU's where it is a GPU.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._gpus = [device] if device.type == "cuda" else []
        with self._forked():
            torch.manual_seed(seed)
            self._cpu, self._gpu_states = self._current()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Within, torch draws from this stream; after, it draws from where it was before."""
        with self._forked():
            torch.set_rng_state(self._cpu)
            for gpu, state in zip(self._gpus, self._gpu_states, strict=True):
                torch.cuda.set_rng_state(state, gpu)
            yield
            self._cpu, self._gpu_states = self._current()

    def state_dict(self) -> dict[str, Any]:
        return {"cpu": self._cpu, "gpu": self._gpu_states}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; what a GPU drew cannot be gone on with on a machine without one."""
        self._cpu = state["cpu"]
        self._gpu_states = state["gpu"][: len(self._gpus)] or self._gpu_states

    def _current(self) -> tuple[Tensor, list[Tensor]]:
        return torch.get_rng_state(), [torch.cuda.get_rng_state(gpu) for gpu in self._gpus]

    def _forked(self) -> AbstractContextManager[None]:
        return torch.random.fork_rng(devices=self._gpus)
