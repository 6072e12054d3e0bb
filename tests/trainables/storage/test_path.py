"""Storage by URI or path: one contract for folders and buckets, and what is said where one fails."""

import errno
import pickle
import sys

import pytest

from spaces.sections import SCHEMES
from tests.trainables.storage.buckets import BUCKET, served
from tests.trainables.storage.conftest import fill, names
from trainables.storage.path import StoragePath, copied_here, located, storage_path
from trainables.storage.told import CLIENT_ERRORS, EXTRAS, StorageError


def test_what_is_written_is_there_and_what_is_removed_is_gone(storage):
    place = storage.at("a", "b.json")
    assert not place.exists() and storage.files() == {}
    place.write(b"first")
    place.write(b"second")
    assert (place.read(), place.exists(), place.is_file(), storage.is_file()) == (b"second", True, True, False)
    assert {name: file.size for name, file in storage.files().items()} == {"a/b.json": 6}
    assert (place.name, str(place.parent)) == ("b.json", str(storage.at("a")))
    storage.remove()
    assert not place.exists()
    storage.remove()  # again


def test_files_come_and_go_whole(storage, tmp_path):
    (tmp_path / "one").write_bytes(b"x" * 1000)
    storage.at("up", "one").upload(tmp_path / "one")
    fill(storage)
    files, done = storage.files(), []
    storage.download(files, tmp_path / "down", lambda n, of: done.append((n, of)))
    assert names(tmp_path / "down") == set(files) == {"up/one", "deep/0.wav", "deep/1.wav"}
    assert (tmp_path / "down/up/one").read_bytes() == b"x" * 1000
    assert done == [(3, 3)]


def test_another_content_is_another_version(storage):
    storage.at("clip").write(b"one")
    before = storage.files()["clip"]
    assert storage.files()["clip"] == before
    storage.at("clip").write(b"two")
    assert storage.files()["clip"] != before


def test_a_file_that_comes_short_is_no_copy(storage, tmp_path):
    files = fill(storage).files()
    storage.at("deep", "1.wav").write(b"less")
    with pytest.raises(StorageError, match=r"1\.wav came short of its 10 bytes; try again"):
        storage.download(files, tmp_path / "down")


def test_what_is_not_there_is_told_with_its_place(storage):
    with pytest.raises(StorageError, match=str(storage.at("gone"))):
        storage.at("gone").read()


def test_trying_out_leaves_nothing(storage, tmp_path):
    storage.try_out()
    assert storage.files() == {} and names(tmp_path / "storage") == set()


def test_ray_tune_writes_through_it_and_what_it_wrote_has_a_name_again(storage, tmp_path):
    filesystem, path = pickle.loads(pickle.dumps(storage.at("ray").arrow()))
    filesystem.create_dir(f"{path}/trial")
    with filesystem.open_output_stream(f"{path}/trial/run.pt") as file:
        file.write(b"state")
    noted = str(storage_path(filesystem, f"{path}/trial"))
    assert StoragePath(located(noted)).at("run.pt").read() == b"state"
    with copied_here(noted) as here:
        assert (here / "run.pt").read_bytes() == b"state"
    assert not here.exists()
    filesystem.delete_dir(f"{path}/trial")
    assert not StoragePath(located(noted)).at("run.pt").exists()


def test_a_checkpoint_on_this_machine_is_read_where_it_lies(tmp_path):
    import pyarrow.fs

    assert storage_path(pyarrow.fs.LocalFileSystem(), str(tmp_path)) == StoragePath(tmp_path)
    with copied_here(str(tmp_path)) as here:
        assert here == tmp_path


def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path, monkeypatch):
    outside = {"/bucket/data/../../etc/passwd": {"size": 1, "type": "file"}}
    monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem.find", lambda *_, **__: outside)
    (tmp_path / "data").mkdir()
    place = StoragePath(tmp_path / "data")
    outside[f"{tmp_path}/data/../../passwd"] = outside.pop("/bucket/data/../../etc/passwd")
    with pytest.raises(StorageError, match="leads out of it"):
        place.files()


def test_a_folder_is_written_in_one_step_so_that_no_reader_sees_half(tmp_path, monkeypatch):
    place = StoragePath(f"file://{tmp_path}/whole")
    place.write(b"old")

    def dies(self, path, content):
        with open(path, "wb") as file:
            file.write(content[:1])
        raise OSError("no space left")

    monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem.pipe_file", dies)
    with pytest.raises(StorageError, match="no space left"):
        place.write(b"new")
    assert place.read() == b"old" and names(tmp_path) == {"whole"} and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(("scheme", "client"), [("s3", "s3fs"), ("gs", "gcsfs")])
def test_a_client_that_is_not_installed_is_told_with_its_extra(scheme, client, monkeypatch):
    monkeypatch.setitem(sys.modules, client, None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, scheme, raising=False)
    with pytest.raises(StorageError, match=rf'pip install "distune\[{scheme}\]"'):
        StoragePath(f"{scheme}://bucket-of-nobody/x").exists()


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_told(bucket):
    with pytest.raises(StorageError, match=r"s3://of-nobody/x/.*: .*bucket does not exist"):
        StoragePath("s3://of-nobody/x").try_out()


@pytest.mark.slow
def test_a_bucket_without_credentials_is_told(bucket, monkeypatch):
    import s3fs

    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StorageError, match="Unable to locate credentials"):
        StoragePath(f"{bucket}/x").try_out()
    s3fs.S3FileSystem.clear_instance_cache()


def test_every_scheme_has_what_its_client_raises():
    assert {*CLIENT_ERRORS, "file"} == {*EXTRAS, "file"} == set(SCHEMES)


@pytest.mark.slow
def test_an_upload_of_tune_to_a_bucket_that_went_away_raises_an_oserror_that_may_pass(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # or it asks for eight seconds
    with served(tmp_path) as environment:
        place = StoragePath(f"{BUCKET}/x")
        filesystem, path = place.arrow()
        stream = filesystem.open_output_stream(f"{path}/run.pt")
        stream.write(b"state")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StorageError, match="Could not connect") as away:
        stream.close()
    assert away.value.errno == errno.EREMOTEIO
