"""A node's copies: one for all its processes, whole or not there, gone when room is wanted and nobody reads them."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spaces.errors import InputError
from tests.trainables.storage.conftest import fill, names
from trainables.storage.cache import CACHE, FETCHED, HOME, LIMIT, Cache
from trainables.storage.path import StoragePath

PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from trainables.storage import path
from trainables.storage.cache import Cache
from trainables.storage.path import StoragePath

path.FILES_AT_ONCE = 1
storage, root, what = sys.argv[1:]
place, cache = StoragePath(storage), Cache(Path(root))

def listed():
    print("lists", flush=True)
    return place.files()

def progress(done, of):
    if what == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.2)

cache.keep(cache.data / "copy", place, listed, progress=progress)
print("has", flush=True)
if what == "reads":
    sys.stdin.readline()
"""


def run(storage: StoragePath, cache: Cache, what: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(storage), str(cache.root), what]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def keep(cache: Cache, storage: StoragePath, name: str = "copy") -> Path:
    return cache.keep(cache.data / name, storage, storage.files)


def disused(folder: Path, seconds: float) -> None:
    """A copy that another process had, so long ago."""
    folder.mkdir(parents=True)
    (folder / "clip").write_bytes(b"x" * 400_000)
    (folder / FETCHED).touch()
    then = time.time() - seconds
    os.utime(folder / FETCHED, (then, then))


@pytest.fixture
def storage(tmp_path) -> StoragePath:
    return fill(StoragePath(f"file://{tmp_path}/storage"), n_files=3)


def test_processes_that_want_a_copy_at_once_fetch_it_once(storage, cache):
    told = [each.communicate()[0].split() for each in [run(storage, cache, "leaves") for _ in range(4)]]
    assert sorted(map(len, told)) == [1, 1, 1, 2] and all(words[-1] == "has" for words in told)
    assert names(cache.data / "copy") == set(storage.files())


def test_a_process_that_is_killed_while_it_fetches_leaves_no_copy_and_the_next_one_has_it(storage, cache):
    dead = run(storage, cache, "dies")
    assert dead.wait() == -9
    assert not (cache.data / "copy").exists()
    assert names(keep(cache, storage)) == set(storage.files())
    assert [path.name for path in cache.data.iterdir() if path.is_dir()] == ["copy"]


def test_storage_that_fails_leaves_no_copy(storage, cache):
    files = storage.files()
    storage.at("deep", "2.wav").remove()
    with pytest.raises(OSError, match=r"2\.wav|came short"):
        cache.keep(cache.data / "copy", storage, lambda: files)
    assert not (cache.data / "copy").exists() and not (cache.data / "copy.fetching").exists()


def test_a_copy_that_lacks_something_is_completed(storage, cache):
    keep(cache, storage)
    before = (cache.data / "copy/deep/0.wav").stat()
    storage.at("later", "head").write(b"new")
    cache.keep(cache.data / "copy", storage, storage.files, lambda folder: (folder / "later/head").exists())
    assert names(cache.data / "copy") == set(storage.files())
    assert (cache.data / "copy/deep/0.wav").stat() == before


def test_of_copies_over_the_limit_the_longest_unused_goes(tmp_path, storage):
    cache = Cache(tmp_path / "cache", limit_bytes=1_000_000)
    storage.at("deep", "large.wav").write(b"x" * 400_000)
    disused(cache.data / "old", 200)
    disused(cache.corpora / "older", 300)
    own = cache.corpora / "built-here"  # which storage does not have
    own.mkdir()
    keep(cache, storage)
    assert {path.name for path in (*cache.data.iterdir(), *cache.corpora.iterdir()) if path.is_dir()} == {
        "copy", "old", "built-here",
    }  # fmt: skip


def test_a_copy_that_another_process_reads_stays_and_the_next_is_refused_with_what_to_do(tmp_path, storage):
    storage.at("deep", "large.wav").write(b"x" * 700_000)
    cache = Cache(tmp_path / "cache", limit_bytes=1_000_000)
    reader = run(storage, cache, "reads")
    while reader.stdout.readline() != "has\n":
        pass
    other = StoragePath(f"file://{tmp_path}/other")
    other.at("large.wav").write(b"y" * 700_000)
    with pytest.raises(
        InputError, match=rf"0\.0007 GB more and has room for 0\.0003 GB .* raise {LIMIT}, or set {CACHE}"
    ):
        keep(cache, other, "other")
    reader.communicate("\n")
    assert names(keep(cache, other, "other")) == {"large.wav"}
    assert not (cache.data / "copy").exists()


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    for name in (HOME, CACHE, LIMIT):
        monkeypatch.delenv(name, raising=False)
    assert Cache.here() == Cache(Path("~/.distune").expanduser())
    monkeypatch.setenv(HOME, str(tmp_path / "home"))
    assert Cache.here() == Cache(tmp_path / "home")
    assert Cache.here(tmp_path / "told") == Cache(tmp_path / "told")
    monkeypatch.setenv(CACHE, str(tmp_path / "fast"))
    monkeypatch.setenv(LIMIT, "1.5")
    assert Cache.here(tmp_path / "told") == Cache(tmp_path / "fast", 1_500_000_000)


@pytest.mark.parametrize("limit", ["much", "0", "-3", "nan"])
def test_a_limit_that_is_none_is_refused(limit, monkeypatch):
    monkeypatch.setenv(LIMIT, limit)
    with pytest.raises(InputError, match="is no number of gigabytes above 0; correct it or unset it"):
        Cache.here()
