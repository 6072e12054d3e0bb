"""Corpora on storage: whole there before anyone reads them, the same bytes on every node, shards handed over."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from spaces.sections import Data
from tests.trainables.recipes import SHARD, contents, recipe_of
from tests.trainables.storage.buckets import put_folder
from trainables.corpus import shards
from trainables.corpus.build import build_corpus
from trainables.corpus.fill import fill_here
from trainables.corpus.shards import cut
from trainables.corpus.store import MANIFEST
from trainables.corpus.stored import (
    bring_stored,
    collect_shards,
    corpus_here,
    exchange_of,
    leave_shard,
    publish,
)
from trainables.storage.cache import CACHE, FETCHED, Cache
from trainables.storage.fetching import fetched
from trainables.storage.path import StoragePath
from trainables.storage.told import StorageError


@pytest.fixture
def storage(tmp_path) -> StoragePath:
    return StoragePath(tmp_path / "storage")


@pytest.fixture
def driver(tmp_path) -> Cache:
    return Cache(tmp_path / "driver")


@pytest.fixture
def built(corpus_folder, driver) -> Path:
    """A finished corpus in the driver's cache."""
    return Path(shutil.copytree(corpus_folder, driver.corpora / "fingerprint"))


@pytest.fixture
def node(tmp_path, monkeypatch) -> Cache:
    """Another node, whose environment this process has from now on."""
    monkeypatch.setenv(CACHE, str(tmp_path / "node"))
    return Cache.here()


def visible(folder: Path) -> dict[str, str]:
    return {name: digest for name, digest in contents(folder).items() if name != FETCHED}


def test_a_node_has_the_corpus_that_the_driver_published(built, storage, driver, node, head):
    uri = publish(built, storage, driver)
    here = corpus_here(uri, head)
    assert here == node.corpora / "fingerprint" and visible(here) == visible(built)
    StoragePath(uri).remove()
    assert corpus_here(uri, head) == here  # once


def test_logits_of_another_head_follow_alone(built, storage, driver, node, head):
    here = corpus_here(publish(built, storage, driver), head)
    before = (here / "train/mel.npy").stat()
    for split in ("train", "val", "test"):
        np.save(built / split / "logits.other.npy", np.zeros((2, 1, 2), np.float32))
    (built / "train/logits.third.123.tmp").touch()  # of a driver that was killed in it
    corpus_here(publish(built, storage, driver), "other")
    (built / "train/logits.third.123.tmp").unlink()
    assert visible(here) == visible(built)
    assert (here / "train/mel.npy").stat() == before


def test_what_is_wanted_besides_is_fetched_when_it_is_wanted(built, storage, driver, node, head):
    here = corpus_here(publish(built, storage, driver), head)
    (built / "streams").mkdir()
    (built / "streams" / "mel.npy").write_bytes(b"heard")
    uri = publish(built, storage, driver)
    assert not (here / "streams").exists()
    assert (corpus_here(uri, head, ["streams"]) / "streams" / "mel.npy").read_bytes() == b"heard"
    with pytest.raises(StorageError, match="holds no others, so no finished corpus"):
        corpus_here(uri, head, ["others"])


def test_a_corpus_is_there_when_its_manifest_is(built, storage, driver, monkeypatch):
    uploaded = []
    upload = StoragePath.upload
    monkeypatch.setattr(StoragePath, "upload", lambda self, file: (uploaded.append(file.name), upload(self, file)))
    publish(built, storage, driver)
    assert uploaded[-1] == MANIFEST and uploaded.count(MANIFEST) == 1
    publish(built, storage, driver)
    assert uploaded[-1] == MANIFEST and uploaded.count(MANIFEST) == 1  # nothing twice


def test_another_driver_takes_what_one_has_published_and_nothing_that_is_not_whole(built, storage, driver, node):
    bring_stored("fingerprint", storage, node)
    assert not node.corpora.exists()
    put_folder(built / "train", storage.at("corpora", "fingerprint", "train").uri)
    bring_stored("fingerprint", storage, node)
    assert not node.corpora.exists()
    publish(built, storage, driver)
    bring_stored("fingerprint", storage, node)
    assert visible(node.corpora / "fingerprint") == visible(built)


def test_a_folder_that_all_nodes_see_is_read_where_it_lies(corpus_folder, node, head):
    assert corpus_here(str(corpus_folder), head) == corpus_folder and not node.root.exists()


def test_shards_left_on_storage_make_the_same_corpus(recipe, storage, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "CLIPS_PER_SHARD", SHARD)

    def by_another_node(recipe, folder, missing, on_shard):
        exchange = exchange_of(folder, storage)
        assert exchange != exchange_of(tmp_path, storage)  # another driver's
        fill_here(
            recipe, Path("/of the other node"), missing, lambda shard: None,
            lambda _, shard, arrays: leave_shard(exchange, shard, arrays),
        )  # fmt: skip
        collect_shards(exchange, folder, missing[:3])
        collect_shards(exchange, folder, missing)
        assert exchange.files() == {}
        for shard in missing:
            on_shard(shard)

    through = build_corpus(recipe, tmp_path / "through", fill=by_another_node)
    assert contents(through) == contents(build_corpus(recipe, tmp_path / "direct"))
    assert len(cut(recipe.n_clips)) == 9


def test_a_recipe_on_another_node_reads_that_nodes_copies(data, storage, driver, node):
    uri = put_folder(data, storage.at("clips").uri)
    here, sources = fetched(Data(path=uri, views={"noise": [f"{uri}/train/negative"]}), driver)
    recipe = recipe_of(here.here, noise=here.views.noise)
    recipe = type(recipe)(recipe.clips, recipe.views, recipe.encoders, sources)
    assert recipe.on_this_node(driver) is recipe
    moved = recipe.on_this_node(node)
    assert moved.fingerprint == recipe.fingerprint
    paths = [clip.clip.path for clip in moved.clips.clips] + list(moved.views.views.noise)
    assert len(paths) == 18 and all(path.is_relative_to(node.root) and path.exists() for path in paths)
