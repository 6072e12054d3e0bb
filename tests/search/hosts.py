"""Machines of a test's own, on this one: each with network, processes, home and Ray's folders to itself, and an sshd.

All live in one namespace of processes, whose end is theirs: nothing of them outlives the test, however it ends. They
share the file system but for what is mounted over it, and so Python and its packages. Needs root and Debian's
openssh-server, iproute2 and rsync.
"""

import getpass
import hashlib
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NEEDED = ("ip", "nsenter", "rsync", "ssh", "ssh-keygen", "sshd", "unshare")
LAPTOP_IP = "10.99.0.1"
# The first process takes leave of those whose parents ended, as Ray's servers do; without, they would seem to live on.
FIRST = "sleep infinity & wait"
UNSHARED = ["--net", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc", "bash", "-c", FIRST]
# Where Ray keeps sessions, and its launcher the sockets of ssh, whatever it is told.
RAY_FOLDERS = ("/tmp/ray", f"/tmp/ray_ssh_{hashlib.sha256(getpass.getuser().encode()).hexdigest()[:10]}")
SSHD = """\
Port 22
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PasswordAuthentication no
PermitRootLogin yes
StrictModes no
UsePAM no
PidFile none
"""


def why_none() -> str | None:
    """What this machine lacks for it."""
    if os.geteuid() != 0:
        return "machines of a test's own need root"
    missing = [name for name in NEEDED if shutil.which(name) is None and not Path("/usr/sbin", name).exists()]
    return f"machines of a test's own need {', '.join(missing)}" if missing else None


@dataclass(frozen=True)
class Host:
    """A machine: commands run on it as its user would, with its home.

    Args:
        pid: of its first process, as this machine counts.
    """

    name: str
    ip: str
    home: Path
    pid: int

    def command(self, *words: str, folder: Path | None = None) -> list[str]:
        """Runs in ``folder``, by default its home: whoever enters a machine begins at its root."""
        entered = ["nsenter", "--target", str(self.pid), "--net", "--mount", "--pid", "--uts", "--"]
        return [*entered, "env", f"--chdir={folder or self.home}", *words]

    def run(self, *words: str, timeout: float = 300, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, ``settings`` in its environment."""
        environment = self.environment(settings)
        return subprocess.run(
            self.command(*words), env=environment, capture_output=True, text=True, timeout=timeout
        )

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        return {"HOME": str(self.home), "PATH": os.environ["PATH"], **settings}

    def running(self) -> list[str]:
        """The command lines of its processes, but for those that make it a machine."""
        listed = self.run("ps", "-eo", "args=").stdout.splitlines()
        return [line for line in listed if not any(of in line for of in ("sleep infinity", "sshd", "ps -eo"))]


@contextmanager
def machines(folder: Path, ips: Mapping[str, str]) -> Iterator[tuple[Host, dict[str, Host]]]:
    """A laptop, and hosts that it reaches by ssh with ``folder/key``, all on one network of their own.

    Args:
        folder: holds a home for each, ``folder/NAME``.
        ips: name to address, in 10.99.0.0/24.
    """
    for key in ("key", "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    (folder / "sshd_config").write_text(SSHD.format(folder=folder))
    first = subprocess.Popen(["unshare", *UNSHARED])
    try:
        laptop = Host("laptop", LAPTOP_IP, _home(folder, "laptop"), _first_of(first.pid))
        _here(laptop, _mounts(folder, "laptop"), "ip link set lo up", "ip link add bridge type bridge")
        _here(laptop, f"ip addr add {LAPTOP_IP}/24 dev bridge", "ip link set bridge up")
        yield laptop, {name: _host(folder, laptop, name, ip) for name, ip in ips.items()}
    finally:
        first.kill()
        first.wait()
        Path(RAY_FOLDERS[1]).rmdir()


def _host(folder: Path, laptop: Host, name: str, ip: str) -> Host:
    # Of the laptop's processes, so that it ends with them.
    outer = subprocess.Popen(laptop.command("unshare", *UNSHARED))
    host = Host(name, ip, _home(folder, name), _first_of(_child_of(outer.pid)))
    subprocess.run(["ip", "link", "add", "eth0", "netns", str(host.pid), "type", "veth", "peer", "name", f"v-{name}",
                    "netns", str(laptop.pid)], check=True)  # fmt: skip
    _here(laptop, f"ip link set v-{name} master bridge up")
    _here(host, "ip link set lo up", f"ip addr add {ip}/24 dev eth0", "ip link set eth0 up", f"hostname {name}")
    # Nothing answers beyond the laptop, but Ray takes its own address from the route there.
    _here(host, f"ip route add default via {LAPTOP_IP}")
    _here(host, _mounts(folder, name), "mkdir -p /run/sshd", f"/usr/sbin/sshd -f {folder}/sshd_config")
    return host


def _mounts(folder: Path, name: str) -> str:
    """What a machine has to itself of the file system: Ray's folders, /run, and who its user is."""
    tmpfs = [f"mkdir -p {path} && mount -t tmpfs tmpfs {path}" for path in (*RAY_FOLDERS, "/run")]
    return " && ".join([*tmpfs, f"mount --bind {folder}/{name}.passwd /etc/passwd"])


def _home(folder: Path, name: str) -> Path:
    """A home for this user on the machine, and the list of users that names it."""
    home = folder / name
    home.mkdir()
    user = pwd.getpwuid(os.geteuid())
    users = Path("/etc/passwd").read_text().splitlines()
    ours = ":".join([user.pw_name, "x", str(user.pw_uid), str(user.pw_gid), "", str(home), "/bin/bash"])
    others = [line for line in users if line.split(":")[0] != user.pw_name]
    (folder / f"{name}.passwd").write_text("\n".join([ours, *others]) + "\n")
    return home


def _here(host: Host, *commands: str) -> None:
    for command in commands:
        done = host.run("bash", "-c", command)
        assert done.returncode == 0, f"{host.name}: {command}: {done.stderr}"


def _first_of(unshare: int) -> int:
    """The first process of the machine that an ``unshare`` makes, once that is made: what it starts, it starts last."""
    first = _child_of(unshare)
    _child_of(first)
    return first


def _child_of(pid: int) -> int:
    """The first child of a process, once it has one."""
    deadline = time.monotonic() + 60
    while not (children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        assert time.monotonic() < deadline, f"process {pid} started nothing"
        time.sleep(0.05)
    return int(children[0])
