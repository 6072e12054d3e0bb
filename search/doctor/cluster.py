"""Whether Ray can start here, or the cluster that the sweep names can be joined; and its token."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from search.doctor.finding import Finding, Subject, advice, fine, mend
from spaces.documents import secret_faults

MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
JOIN_SECONDS = 60
JOIN = """
import json, logging, sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.ERROR)
print(json.dumps({"nodes": sum(node["Alive"] for node in ray.nodes()), **ray.cluster_resources()}))
"""


def check_cluster(subject: Subject) -> Iterator[Finding]:
    """Of this machine's Ray where the sweep names no cluster."""
    yield from _token(subject)
    address = subject.resources.address
    if address is None:
        told = "starts on this machine with each sweep, reachable from it alone"
        if os.environ.get("RAY_ADDRESS"):
            told += "; RAY_ADDRESS is not followed, resources.address is"
        yield fine("Ray", told)
    else:
        yield _joined(address)


def _token(subject: Subject) -> Iterator[Finding]:
    """What Ray's processes show each other; a cluster with tokens turns away whoever has none."""
    mode = os.environ.get(MODE, "")
    default = subject.ray_folder / "auth_token"
    if mode not in ("", "token", "disabled"):
        yield mend("Ray's token", f"{MODE}={mode} is no mode", f"set {MODE} to token or disabled, or unset it")
        return
    if mode == "disabled":
        if subject.resources.address is None:
            yield fine("Ray's token", f"none ({MODE}=disabled); Ray listens on this machine alone")
        else:
            told = f"none ({MODE}=disabled): whoever reaches the cluster can run programs on it"
            remedy = f"`ray get-auth-token --generate`, give it to every node, and set {MODE}=token"
            yield advice("Ray's token", told, remedy)
        return
    if os.environ.get(TOKEN):
        yield fine("Ray's token", f"in {TOKEN}")
        return
    file = Path(os.environ.get(TOKEN_PATH) or default)
    if os.environ.get(TOKEN_PATH) and secret_faults(file):
        yield mend("Ray's token", f"{file} can be opened by other users of this machine", f"chmod 600 {file}")
    elif file.is_file() and os.access(file, os.R_OK):
        yield _private(file)
    elif mode == "token" or TOKEN_PATH in os.environ:
        remedy = "copy the cluster's there, or make one with `ray get-auth-token --generate`"
        yield mend("Ray's token", f"{file} cannot be read, and no {TOKEN} is set", remedy)
    elif os.access(_existing(file.parent), os.W_OK):
        yield fine("Ray's token", f"Ray makes one in {file} when it first starts here")
    else:
        told = f"Ray would make one in {file.parent}, which cannot be written"
        yield mend("Ray's token", told, f"make it yours to write, set HOME elsewhere, or {MODE}=disabled")


def _private(file: Path) -> Finding:
    if file.stat().st_mode & stat.S_IROTH and _in_reach(file):
        return advice("Ray's token", f"{file} can be read by other users of this machine", f"chmod 600 {file}")
    return fine("Ray's token", f"in {file}")


def _in_reach(file: Path) -> bool:
    """Whether every folder above it lets other users pass."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in file.absolute().parents)


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _joined(address: str) -> Finding:
    """By joining, in a process of its own: Ray waits long and ends the process where it may not join."""
    command = [sys.executable, "-c", JOIN, address]
    remedy = (
        "start it (`ray start --head`), mend resources.address, and see that this machine has its token "
        f"({MODE}=token) and the same Ray and Python"
    )
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=JOIN_SECONDS)
    except subprocess.TimeoutExpired:
        return mend("Ray", f"no cluster answers at {address} within {JOIN_SECONDS} s", remedy)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        return mend("Ray", f"the cluster at {address} cannot be joined: {last}", remedy)
    found = json.loads(done.stdout.splitlines()[-1])
    told = f"{found['nodes']} nodes, {found.get('CPU', 0):g} CPUs and {found.get('GPU', 0):g} GPUs at {address}"
    return fine("Ray", told)
