"""Clips and recordings named by URI: brought here once, whatever names them, and every fault told at once."""

from pathlib import Path

import pytest

from spaces.errors import InputError
from spaces.sections import Data
from tests.trainables.recipes import write_clips, write_tone
from tests.trainables.storage.buckets import put_folder
from tests.trainables.storage.conftest import names
from trainables.audio.check import load_clips
from trainables.storage.fetching import fetched
from trainables.storage.path import StoragePath


@pytest.fixture
def clips(tmp_path) -> Path:
    return write_clips(tmp_path / "clips")


@pytest.fixture
def uri(storage, clips) -> str:
    return put_folder(clips, storage.at("clips").uri)


def test_data_named_by_uri_is_the_same_data(uri, clips, cache):
    data = Data(path=uri, views={"noise": [f"{uri}/train/negative/0.wav", clips / "val"]})
    here, sources = fetched(data, cache)
    hashes = [[clip.content_hash for clip in load_clips(Data(path=path)).clips] for path in (here.here, clips)]
    assert hashes[0] == hashes[1] and len(hashes[0]) == 17
    noise, local = here.views.noise
    assert noise.read_bytes() == (clips / "train/negative/0.wav").read_bytes() and local == clips / "val"
    assert names(noise.parent) == {"0.wav"}  # and not the folder that it lies in
    assert {folder for folder, _ in sources} == {here.here, noise.parent}


def test_a_second_time_nothing_is_fetched_and_a_change_is_seen(uri, cache):
    here, _ = fetched(Data(path=uri), cache)
    stamp = (here.here / "val/positive/0.wav").stat()
    again, done = fetched(Data(path=uri), cache, lambda *_: pytest.fail("fetched again"))
    assert again == here and (here.here / "val/positive/0.wav").stat() == stamp and done
    StoragePath(uri).at("val/positive/0.wav").write(b"other")
    changed, _ = fetched(Data(path=uri), cache)
    assert changed.here != here.here and (changed.here / "val/positive/0.wav").read_bytes() == b"other"


def test_a_manifest_brings_the_folder_that_it_lies_in(storage, tmp_path, cache):
    write_tone(tmp_path / "data/a.wav", 400, 0)
    (tmp_path / "data/manifest.csv").write_text("path,label\na.wav,negative\n")
    uri = put_folder(tmp_path / "data", storage.at("data").uri)
    here, _ = fetched(Data(path=f"{uri}/manifest.csv"), cache)
    assert here.here.name == "manifest.csv" and names(here.here.parent) == {"a.wav", "manifest.csv"}


def test_a_path_stays_what_it_is(clips, cache):
    data = Data(path=clips)
    assert fetched(data, cache) == (data, ()) and not cache.root.exists()


def test_all_that_cannot_be_fetched_is_refused_at_once(storage, cache):
    uri = storage.uri
    with pytest.raises(InputError) as refused:
        fetched(Data(path=f"{uri}/gone", views={"noise": [f"{uri}/hiss"], "rir": [f"{uri}/rooms"]}), cache)
    assert [(fault.file, fault.key) for fault in refused.value.faults] == [
        (f"{uri}/hiss", "data.views.noise"), (f"{uri}/rooms", "data.views.rir"), (f"{uri}/gone", "data.path"),
    ]  # fmt: skip
    assert all("holds no file; correct it" in fault.remedy for fault in refused.value.faults)


@pytest.mark.slow
def test_a_bucket_of_nobody_is_refused_by_its_key(bucket, cache):
    with pytest.raises(InputError, match=r"s3://of-nobody/clips: data\.path: holds no file"):
        fetched(Data(path="s3://of-nobody/clips"), cache)
