"""What this machine has: GPUs, memory, disks, and ports on loopback."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from search.doctor.finding import Finding, Subject, advice, fine, mend

GB = 10**9
LEAST_DISK, ENOUGH_DISK = 1 * GB, 10 * GB
LEAST_MEMORY = 2 * GB  # torch, Ray's workers and one trial of the largest student
LEAST_GPU_MEMORY = 2 * GB
LEAST_SHARED = 0.25 * GB  # Ray's object store as distune starts it
RAY_FULL = 0.95  # of the disk of Ray's own folder: where Ray stops to write objects
LOOPBACK = "127.0.0.1"


def check_gpus() -> Iterator[Finding]:
    """Each GPU that torch can use, or why it can use none."""
    import torch

    if not torch.cuda.is_available():
        if shutil.which("nvidia-smi"):
            told = f"this machine has one, and torch {torch.__version__} cannot use it"
            remedy = "install a torch built for CUDA, and a driver not older than it; `nvidia-smi` shows the driver's"
            yield advice("GPU", told, remedy)
        else:
            yield fine("GPU", "none; trials run on the CPU's cores, one each")
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        told = f"{torch.cuda.get_device_name(index)}, {free / GB:.1f} of {total / GB:.1f} GB free"
        if free < LEAST_GPU_MEMORY:
            remedy = "another program holds the rest (`nvidia-smi`); end it, or hide this GPU (CUDA_VISIBLE_DEVICES)"
            yield advice(f"GPU {index}", told, remedy)
        else:
            yield fine(f"GPU {index}", told)


def check_memory(available: float | None = None, shared: float | None = None) -> Iterator[Finding]:
    """Memory, and the part of it that processes share.

    Args:
        available: bytes; by default as the system says, as are those that can be shared.
    """
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    available = _available(total) if available is None else available
    told = f"{available / GB:.1f} of {total / GB:.1f} GB available, {os.cpu_count()} cores"
    if available < LEAST_MEMORY:
        remedy = (
            f"end other programs: a sweep wants {LEAST_MEMORY / GB:.0f} GB, and more for each further trial at once"
        )
        yield advice("memory", told, remedy)
    else:
        yield fine("memory", told)
    folder = Path("/dev/shm")
    if shared is None and not folder.is_dir():
        return
    shared = float(shutil.disk_usage(folder).free) if shared is None else shared
    if shared < LEAST_SHARED:
        told = f"{shared / GB:.2f} GB free in {folder}, and Ray's objects take {LEAST_SHARED / GB:.2f} GB"
        yield advice("shared memory", told, "in a container, start it with --shm-size=1g; else remove old files there")


def check_disks(subject: Subject) -> Iterator[Finding]:
    """Of distune's home, and of Ray's folder for what is passing."""
    usage = shutil.disk_usage(subject.home.root)
    told = f"{usage.free / GB:.1f} GB free for {subject.home.root}"
    remedy = "free some, or set DISTUNE_HOME to another disk; corpora of old sweeps may be deleted, and are made again"
    if usage.free < LEAST_DISK:
        yield mend("disk", told, remedy)
    elif usage.free < ENOUGH_DISK:
        yield advice("disk", f"{told}; a corpus takes 7 GB for 100,000 clips in 4 views", remedy)
    else:
        yield fine("disk", told)
    passing = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    if not passing.is_dir():
        yield mend("disk", f"RAY_TMPDIR={passing} is no folder", "make it, or unset RAY_TMPDIR")
        return
    usage = shutil.disk_usage(passing)
    if usage.used / usage.total > RAY_FULL:
        told = f"the disk of {passing} is {100 * usage.used / usage.total:.0f} % full, where Ray stops working"
        yield advice("disk", told, "free some, or set RAY_TMPDIR to a folder on another disk")


def check_ports() -> Iterator[Finding]:
    """Whether this process may listen on loopback, and whether ``localhost`` is this machine."""
    try:
        with socket.create_server((LOOPBACK, 0)) as server, socket.create_connection(server.getsockname(), timeout=5):
            pass
    except OSError as error:
        told = f"{LOOPBACK} cannot be listened on and reached ({error})"
        yield mend("ports", told, "allow it in the firewall or the container's settings: Ray and the pages need it")
        return
    try:
        names = {found[4][0] for found in socket.getaddrinfo("localhost", None)}
    except OSError:
        names = set()
    if names & {LOOPBACK, "::1"}:
        yield fine("ports", f"{LOOPBACK} can be listened on")
    else:
        yield advice("ports", "localhost is not this machine", f"put `{LOOPBACK} localhost` into /etc/hosts")


def _available(total: float) -> float:
    """Bytes that programs can still have, by Linux's estimate, within what the container is allowed."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return total
    lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    available = float(lines["MemAvailable"].split()[0]) * 1024
    limit, used = (Path(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    if limit.exists() and used.exists() and (most := limit.read_text().strip()) != "max":
        return min(available, float(most) - float(used.read_text()))
    return available
