"""Corpora on storage, for nodes that share no folder: written there by the driver, fetched once by each node.

Under ``<storage>/corpora/``: ``<fingerprint>/``, a corpus as `store` describes it, its manifest written last; and
``<fingerprint>.<driver>/`` while it is built, where workers that do not see the driver's folder leave their shards.
"""

import hashlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from spaces.sections import is_uri
from trainables.audio.entries import SPLITS
from trainables.corpus.shards import Shard, write_shard
from trainables.corpus.store import MANIFEST
from trainables.storage.cache import Cache
from trainables.storage.path import File, Progress, StoragePath
from trainables.storage.told import StorageError

CORPORA = "corpora"
TEMPORARY = ".tmp"


def publish(corpus: Path, storage: StoragePath, cache: Cache, progress: Progress = lambda done, of: None) -> str:
    """Bring what storage has of a corpus up to what lies in its folder here.

    Returns:
        Its URI, which `corpus_here` makes a folder of on any node.

    Raises:
        StorageError: it cannot be written.
    """
    place = storage.at(CORPORA, corpus.name)
    there = place.files()
    names = [path.relative_to(corpus).as_posix() for path in corpus.rglob("*") if _belongs(corpus, path)]
    lacking = sorted(set(names) - set(there), key=lambda name: (name == MANIFEST, name))
    for done, name in enumerate(lacking, start=1):
        place.at(name).upload(corpus / name)
        progress(done, len(lacking))
    cache.copied(corpus)
    return place.uri


def bring_stored(fingerprint: str, storage: StoragePath, cache: Cache) -> None:
    """Bring the folder of a corpus here up to what storage has of it; nothing where it was never finished there.

    So no driver pays for a teacher's pass, or fits a head, that another has paid for.

    Raises:
        InputError: there is no room for it.
        StorageError: it cannot be fetched.
    """
    place = storage.at(CORPORA, fingerprint)
    files = place.files()
    if MANIFEST in files:
        cache.keep(cache.corpora / fingerprint, place, lambda: files, lambda folder: _has(folder, files))


def corpus_here(corpus: str | Path, head: str, also: Sequence[str] = ()) -> Path:
    """The folder of a corpus on this node, fetched where it lies on storage and not yet here.

    Args:
        corpus: a folder, or a URI as `publish` returns it.
        head: fingerprint of the head whose logits are wanted.
        also: files or folders in it that are wanted besides.

    Raises:
        InputError: there is no room for it.
        StorageError: it cannot be fetched, or lacks something that is wanted.
    """
    if not is_uri(str(corpus)):
        return Path(corpus)
    place, cache = StoragePath(str(corpus)), Cache.here()
    wanted = [MANIFEST, *(f"{split}/logits.{head}.npy" for split in SPLITS), *also]

    def listed() -> dict[str, File]:
        files = place.files()
        for name in wanted:
            if not any(file == name or file.startswith(f"{name}/") for file in files):
                raise StorageError(f"{corpus} holds no {name}, so no finished corpus")
        return files

    return cache.keep(cache.corpora / place.name, place, listed, lambda folder: _has(folder, wanted))


def exchange_of(folder: Path, storage: StoragePath) -> StoragePath:
    """Where workers leave shards for the driver that builds in ``folder``, of this driver alone."""
    driver = hashlib.sha256(f"{os.uname().nodename}:{folder}".encode()).hexdigest()[:8]
    return storage.at(CORPORA, f"{folder.stem}.{driver}")


def leave_shard(exchange: StoragePath, shard: Shard, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a shard for the driver to collect; its arrays as of `write_shard`."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **dict(arrays))
    exchange.at(f"{shard.marker}.npz").write(content.getvalue())


def collect_shards(exchange: StoragePath, folder: Path, shards: Iterable[Shard]) -> None:
    """Take those of the shards that workers have left into the folder's arrays.

    Raises:
        StorageError: they cannot be read.
    """
    there: Mapping[str, File] = exchange.files()
    for shard in shards:
        if (name := f"{shard.marker}.npz") in there:
            with np.load(io.BytesIO(exchange.at(name).read()), allow_pickle=False) as arrays:
                write_shard(folder, shard, dict(arrays))
            exchange.at(name).remove()


def _has(folder: Path, names: Iterable[str]) -> bool:
    return folder.is_dir() and all((folder / name).exists() for name in names)


def _belongs(corpus: Path, path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.suffix != TEMPORARY
