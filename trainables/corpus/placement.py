"""Where the arrays of a corpus lie while a trial trains: on its device, in memory, or on disk.

device   tensors of this process on the trial's device, only the aligned layers of the hidden states
memory   mapped and read ahead at once: one copy a node, in the page cache, which all trials share
disk     mapped, for a corpus larger than memory: the rows of the next batches are asked of the kernel while this
         one trains, since an epoch's order is known when it begins; no threads, no copies
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainables.corpus.batches import AlignedStates, Batches
from trainables.corpus.read_ahead import MappedFiles
from trainables.corpus.store import Corpus, Split

Placement = Literal["auto", "device", "memory", "disk"]
Layers = Mapping[str, tuple[int, ...]]
RESIDENT = ("train", "val")
"""What a trial reads every epoch; test clips are read once, if ever, and stay mapped."""
GPU_PART = 1 / 8  # at most of a whole GPU: each of the trials that share it has a copy of its own
GPU_FREE_PART = 0.9  # of what is free within the trial's cap, which was measured with the copy in it
MEMORY_PART = 0.8  # or the page cache throws out what it has just read
MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


class Room(NamedTuple):
    """Bytes that a trial reads, and bytes that there are for them; ``gpu`` is None on a CPU."""

    on_device: int
    mapped: int
    gpu: int | None
    memory_free: int


class Placed(NamedTuple):
    """Where a corpus lies, and why there, in words."""

    where: Placement
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


def decide(corpus: Corpus, layers: Layers, placement: Placement, device: torch.device) -> Placed:
    """Where a trial's corpus is to lie: ``auto`` chooses by size.

    Args:
        layers: the aligned layers of each teacher.
        device: where batches go.
    """
    return choose(measured_room(corpus, layers, device)) if placement == "auto" else Placed(placement, "as told")


def choose(room: Room) -> Placed:
    """The fastest placement that has room.

    A CPU gains nothing by ``device`` over ``memory``, which shares one copy among all trials.
    """
    needs = f"{_gb(room.on_device)} of arrays in {_gb(room.mapped)} of files"
    if room.gpu is not None and room.on_device <= room.gpu:
        return Placed("device", f"{needs}, room for {_gb(room.gpu)} there")
    gpu = "" if room.gpu is None else f", room for {_gb(room.gpu)} on the GPU"
    fits = room.mapped <= MEMORY_PART * room.memory_free
    return Placed("memory" if fits else "disk", f"{needs}, {_gb(room.memory_free)} of memory free{gpu}")


def place(corpus: Corpus, layers: Layers, where: Placement, device: torch.device) -> dict[str, Batches]:
    """The splits of a corpus as one trial reads them; arguments as of :func:`decide`, which says where."""
    return {
        name: _on_device(split, layers, device)
        if where == "device" and name in RESIDENT
        else _mapped(split, layers, device, where if name in RESIDENT else "disk")
        for name, split in corpus.splits.items()
    }


def measured_room(corpus: Corpus, layers: Layers, device: torch.device) -> Room:
    """What the trial reads and what is free here and now."""
    splits = [corpus.splits[name] for name in RESIDENT]
    mel = sum(split.mel.nbytes for split in splits)
    states = [(split.hidden[teacher], len(which)) for split in splits for teacher, which in layers.items()]
    return Room(
        on_device=mel + sum(array.nbytes // array.shape[2] * n_aligned for array, n_aligned in states),
        mapped=mel + sum(array.nbytes for array, _ in states),
        gpu=_gpu_room(device) if device.type == "cuda" else None,
        memory_free=memory_free(),
    )


def memory_free(meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> int:
    """Bytes this process may still fill: the machine's, or its container's (cgroup v2) where that has fewer.

    Page cache counts as free, for it makes room.
    """
    lines = dict(line.split(":", 1) for line in meminfo.read_text(encoding="utf-8").splitlines())
    free = int(lines["MemAvailable"].split()[0]) * 1024
    limit = cgroup / "memory.max"
    if limit.exists() and (told := limit.read_text(encoding="utf-8").strip()) != "max":
        stat = dict(line.split() for line in (cgroup / "memory.stat").read_text(encoding="utf-8").splitlines())
        used = int((cgroup / "memory.current").read_text(encoding="utf-8")) - int(stat["file"])
        free = min(free, int(told) - used)
    return free


def _gpu_room(device: torch.device) -> int:
    """Bytes of a GPU that one trial's copy of the corpus may take, within this process's cap."""
    free, total = torch.cuda.mem_get_info(device)
    cap = int(total * torch.cuda.get_per_process_memory_fraction(device))
    return int(min(GPU_PART * total, GPU_FREE_PART * min(free, cap - torch.cuda.memory_reserved(device))))


def _on_device(split: Split, layers: Layers, device: torch.device) -> Batches:
    def copied(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(device, copy=True)

    hidden = {
        teacher: AlignedStates(
            # Only the aligned layers, so that a GPU holds no more than the trial needs.
            rows=copied(split.hidden[teacher][:, :, list(which)]).flatten(0, 2),
            n_stored=len(which),
            positions=torch.arange(len(which), device=device),
            rms=split.rms[teacher],
        )
        for teacher, which in layers.items()
    }
    return _batches(split, copied(split.mel), hidden, device)


def _mapped(split: Split, layers: Layers, device: torch.device, where: Placement) -> Batches:
    hidden = {
        teacher: AlignedStates(
            rows=torch.from_numpy(split.hidden[teacher]).flatten(0, 2),
            n_stored=split.hidden[teacher].shape[2],
            positions=torch.tensor(which),
            rms=split.rms[teacher],
        )
        for teacher, which in layers.items()
    }
    files = MappedFiles([split.mel, *(split.hidden[teacher] for teacher in layers)])
    if where == "memory":
        files.read_whole()
        return _batches(split, torch.from_numpy(split.mel), hidden, device)
    files.expect_random()
    return _batches(split, torch.from_numpy(split.mel), hidden, device, files.read_rows)


def _batches(
    split: Split,
    mel: Tensor,
    hidden: Mapping[str, AlignedStates],
    device: torch.device,
    read_ahead: Callable[[Tensor], None] | None = None,
) -> Batches:
    """With what is small always on the device: logits are 8 bytes a view, against 19 kB of log-mel."""
    return Batches(
        mel=mel.flatten(0, 1),
        logits=torch.from_numpy(split.logits).flatten(0, 1).to(device),
        hidden=hidden,
        labels=torch.from_numpy(split.labels).to(device),
        hard=torch.from_numpy(split.hard).to(device),
        n_views=split.n_views,
        device=device,
        read_ahead=read_ahead,
    )


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.3g} GB"
