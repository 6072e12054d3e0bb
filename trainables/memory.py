"""How much memory a trial needs of its device, measured on one step of it.

A share of a GPU is bookkeeping to Ray, so it must be right: too small and trials run out of memory, too
large and the GPU idles.
"""

import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch

from trainables.build import build_run
from trainables.corpus.placement import Placement

CUDA_CONTEXT_BYTES = 600 * 2**20
"""What CUDA takes a process before its first tensor, beside what torch allocates: no torch cap covers it."""


RESETS_PEAK, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


class MemoryNeed(NamedTuple):
    """Bytes that a trial's process needs of its device, and that the device has."""

    peak_bytes: int
    device_bytes: int


def measure_need(trial: dict[str, Any], corpus: str, head: str, placement: Placement, device: str) -> MemoryNeed:
    """Peak memory of one training step and one validation of a trial; arguments as of ``build_run``.

    What a sweep is after costs no memory; windows of a stream take less than a step.

    Call it in a process that has done nothing else: peaks are the process's.
    """
    run = build_run(trial, corpus, head, {}, device, placement)
    run.splits["train"] = run.splits["train"].first(run.config.training.batch_size)
    run.step()
    if device == "cuda":
        _, device_bytes = torch.cuda.mem_get_info()
        return MemoryNeed(torch.cuda.max_memory_reserved() + CUDA_CONTEXT_BYTES, device_bytes)
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return MemoryNeed(kilobytes * 1024, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def reset_peak(device: str) -> None:
    """Let `peak_mb` begin anew: a worker trains one trial after another."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return
    # See proc(5). Not every system has it, and not every sandbox allows it.
    with suppress(OSError):
        RESETS_PEAK.write_text("5")


def peak_mb(device: str) -> float:
    """The most memory held since `reset_peak`, in MB: of the GPU by torch, or without one by the process.

    Where the system cannot begin anew, it is the most since the process started.
    """
    if device == "cuda":
        return torch.cuda.max_memory_reserved() / 1e6
    status = STATUS.read_text().splitlines() if STATUS.exists() else []
    kilobytes = next((int(line.split()[1]) for line in status if line.startswith("VmHWM:")), None)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if kilobytes is None else kilobytes) * 1024 / 1e6


def cap_memory(gpu_share: float) -> None:
    """Keep this process within its share of its GPU, so that it cannot take its neighbours' memory."""
    _, device_bytes = torch.cuda.mem_get_info()
    allowed = gpu_share - CUDA_CONTEXT_BYTES / device_bytes
    torch.cuda.set_per_process_memory_fraction(max(0.0, allowed))
