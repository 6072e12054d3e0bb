"""Machines on a network of their own: namespaces of this one, joined by a bridge, whose cables can be pulled."""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SUBNET = "10.213.77"
OF_A_NETWORK = 0x40000000  # CLONE_NEWNET in Linux's sched.h
LIBC = ctypes.CDLL(None, use_errno=True)


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


@dataclass(frozen=True)
class Machine:
    """A namespace with an address; ``cable`` is the bridge's end of its cable."""

    namespace: str
    address: str
    cable: str

    def join(self, head: str, log: Path) -> subprocess.Popen[bytes]:
        """A Ray node there with one CPU, in a process group of its own."""
        start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--address", head, "--num-cpus", "1"]
        start += ["--node-ip-address", self.address, "--block"]
        command = ["ip", "netns", "exec", self.namespace, *start]
        return subprocess.Popen(command, stdout=log.open("wb"), stderr=subprocess.STDOUT, start_new_session=True)

    def cut(self) -> None:
        """From now on nothing reaches it, and nobody is told so."""
        ip("link", "set", self.cable, "down")

    def mend(self) -> None:
        ip("link", "set", self.cable, "up")


@contextmanager
def network(n_machines: int) -> Iterator[tuple[str, list[Machine]]]:
    """The address of this process in a network that has no way out, and the other machines there.

    What this thread starts in the block is on that network too, away from the firewall of this machine.
    """
    if os.geteuid() or shutil.which("ip") is None:
        pytest.skip("network namespaces take root and `apt install iproute2`")
    bridge, own = "bridge", f"{SUBNET}.1"
    machines = [
        Machine(f"distune-{os.getpid()}-{number}", f"{SUBNET}.{number + 2}", f"cable{number}")
        for number in range(n_machines)
    ]
    with _elsewhere():
        try:
            ip("link", "set", "lo", "up")
            ip("link", "add", bridge, "type", "bridge")
            ip("address", "add", f"{own}/24", "dev", bridge)
            ip("link", "set", bridge, "up")
            # Nothing answers beyond, but Ray takes its own address from the route there.
            ip("route", "add", "default", "dev", bridge)
            for machine in machines:
                inside = ("-n", machine.namespace)
                ip("netns", "add", machine.namespace)
                ip("link", "add", machine.cable, "type", "veth", "peer", "name", "eth0", "netns", machine.namespace)
                ip("link", "set", machine.cable, "master", bridge, "up")
                ip(*inside, "link", "set", "lo", "up")
                ip(*inside, "address", "add", f"{machine.address}/24", "dev", "eth0")
                ip(*inside, "link", "set", "eth0", "up")
            yield own, machines
        finally:
            for machine in machines:
                subprocess.run(["ip", "netns", "delete", machine.namespace], capture_output=True)


@contextmanager
def _elsewhere() -> Iterator[None]:
    """This thread in a fresh namespace of networks, and then back where it was."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if LIBC.unshare(OF_A_NETWORK):
            pytest.skip(f"this machine allows no namespace of networks: {os.strerror(ctypes.get_errno())}")
        try:
            yield
        finally:
            assert LIBC.setns(here, OF_A_NETWORK) == 0, os.strerror(ctypes.get_errno())
    finally:
        os.close(here)
