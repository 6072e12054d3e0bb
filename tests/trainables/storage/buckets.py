"""A real S3 server of this machine's own, moto's, as a process that clients reach over HTTP."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trainables.storage.path import StoragePath

BUCKET = "s3://distune-tests"


@contextmanager
def served(folder: Path) -> Iterator[dict[str, str]]:
    """The environment that leads S3's clients to an empty bucket, `BUCKET`, which lives as long as the block."""
    pytest.importorskip("moto", reason='needs an S3 server: pip install "moto[s3]"')
    pytest.importorskip("s3fs", reason='needs an S3 client: pip install "distune[s3]"')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "distune",
        "AWS_SECRET_ACCESS_KEY": "only of these tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with open(folder / "s3.log", "w") as log, pytest.MonkeyPatch.context() as patch:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            for name, value in environment.items():
                patch.setenv(name, value)
            _wait_for(server, port)
            import s3fs

            s3fs.S3FileSystem.clear_instance_cache()
            s3fs.S3FileSystem().mkdir(BUCKET.removeprefix("s3://"))
            yield environment
            s3fs.S3FileSystem.clear_instance_cache()
        finally:
            server.kill()
            server.wait()


def _wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 240
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert server.poll() is None and time.monotonic() < deadline, "the S3 server did not start"
        time.sleep(0.1)


def put_folder(folder: Path, uri: str) -> str:
    """Copy a folder to storage; its URI there."""
    for path in folder.rglob("*"):
        if path.is_file():
            StoragePath(uri).at(path.relative_to(folder).as_posix()).upload(path)
    return uri
