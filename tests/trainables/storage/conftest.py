"""Storage of each kind that runs here: a folder by its URI and by its path, and a bucket."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.trainables.storage.buckets import BUCKET, served
from trainables.storage.cache import Cache
from trainables.storage.path import StoragePath


@pytest.fixture(scope="module")
def bucket(tmp_path_factory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("s3")):
        yield BUCKET


@pytest.fixture(params=["path", "file", pytest.param("s3", marks=pytest.mark.slow)])
def storage(request, tmp_path) -> StoragePath:
    """Of this test's own, empty."""
    if request.param == "s3":
        return StoragePath(f"{request.getfixturevalue('bucket')}/{uuid4().hex}")
    folder = tmp_path / "storage"
    return StoragePath(folder if request.param == "path" else f"file://{folder}")


@pytest.fixture
def cache(tmp_path) -> Cache:
    return Cache(tmp_path / "cache")


def fill(storage: StoragePath, n_files: int = 2, n_bytes: int = 10) -> StoragePath:
    for i in range(n_files):
        storage.at("deep", f"{i}.wav").write(bytes([i]) * n_bytes)
    return storage


def names(folder: Path) -> set[str]:
    """Files under a folder, hidden ones left out."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix() for path in files}
