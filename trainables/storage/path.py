"""One place on storage that all nodes reach: a bucket or a folder, by an fsspec URI or a plain path.

fsspec rather than the clients themselves, because it is what Ray Tune and transformers speak already; credentials are
the clients' own, from each node's environment or role, and never travel in a trial's config.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from uuid import uuid4

import fsspec
from fsspec.implementations.local import LocalFileSystem

from spaces.sections import IS_URI, Location
from trainables.storage.told import EXTRAS, StorageError, Told, told

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

Progress = Callable[[int, int], None]  # (done, of)
FILES_AT_ONCE = 128  # of a download; clients fetch them side by side


class File(NamedTuple):
    """A file's size in bytes, and what changes with its content: a bucket's ETag, or a folder's time of writing."""

    size: int
    version: str


@dataclass(frozen=True)
class StoragePath:
    """A folder or file on storage, which need not exist.

    Every method raises a StorageError where storage cannot do it.

    Args:
        location: a URI such as ``s3://bucket/distune``, or a path.
    """

    location: Location

    def __str__(self) -> str:
        return str(self.location)

    def at(self, *names: str) -> Self:
        """What lies under this place."""
        return type(self)("/".join([str(self.location), *names]) if self.is_uri else Path(self.location, *names))

    @property
    def name(self) -> str:
        return PurePosixPath(str(self.location)).name

    @property
    def parent(self) -> Self:
        text = str(self.location)
        return type(self)(text.rpartition("/")[0] if self.is_uri else Path(text).parent)

    @property
    def uri(self) -> str:
        return str(self.location) if self.is_uri else f"file://{Path(self.location).absolute()}"

    @property
    def is_uri(self) -> bool:
        return bool(IS_URI.match(str(self.location)))

    def exists(self) -> bool:
        if not self.is_uri:
            return Path(self.location).exists()  # fsspec takes a disk that is away for nothing being there
        with self._told() as (fs, path):
            return bool(fs.exists(path))

    def is_file(self) -> bool:
        with self._told() as (fs, path):
            return bool(fs.isfile(path))

    def files(self) -> dict[str, File]:
        """All files under this place by their relative names, sorted, hidden ones left out; none where nothing is.

        Raises:
            StorageError: besides, a name that leads out of the place.
        """
        with self._told() as (fs, path):
            if not fs.exists(path):
                return {}
            found = fs.find(path, detail=True)
        listed = {
            str(PurePosixPath(name).relative_to(PurePosixPath(path))): told
            for name, told in found.items()
            if told["type"] == "file" and not PurePosixPath(name).name.startswith(".")
        }
        for name in listed:
            if ".." in PurePosixPath(name).parts:
                raise StorageError(f"{self} holds {name!r}, which leads out of it; rename it there")
        return {name: File(listed[name]["size"], _version(listed[name])) for name in sorted(listed)}

    def read(self) -> bytes:
        with self._told() as (fs, path):
            return bytes(fs.cat_file(path))

    def write(self, content: bytes) -> None:
        """Whole or not at all."""
        with self._told() as (fs, path), _written_whole(fs, path) as new:
            fs.pipe_file(new, content)

    def upload(self, file: Path) -> None:
        """Make this place a copy of a file, whole or not at all."""
        with self._told() as (fs, path), _written_whole(fs, path) as new:
            fs.put_file(str(file), new)

    def download(self, files: Mapping[str, File], folder: Path, progress: Progress = lambda done, of: None) -> None:
        """Copy files of this place, named as by `files`, into a folder that is nobody else's yet.

        Args:
            progress: told of files done and files in all.

        Raises:
            StorageError: besides, a file that came in another size than was listed.
        """
        names = list(files)
        for start in range(0, len(names), FILES_AT_ONCE):
            chunk = names[start : start + FILES_AT_ONCE]
            targets = [folder / name for name in chunk]
            for parent in {target.parent for target in targets}:
                parent.mkdir(parents=True, exist_ok=True)
            with self._told() as (fs, path):
                fs.get([f"{path}/{name}" for name in chunk], [str(target) for target in targets])
            for name, target in zip(chunk, targets, strict=True):
                if not target.is_file() or target.stat().st_size != files[name].size:
                    raise StorageError(f"{self.at(name)} came short of its {files[name].size} bytes; try again")
            progress(start + len(chunk), len(names))

    def remove(self) -> None:
        """What lies here and under it; nothing where that is gone already."""
        with self._told() as (fs, path):
            if fs.exists(path):
                fs.rm(path, recursive=True)

    def arrow(self) -> tuple["FileSystem", str]:
        """As Ray Tune takes it: a file system, which reaches workers whole, and the path in it."""
        import pyarrow.fs  # takes a while, which shell completion would wait for

        with self._told() as (fs, path):
            # Folders raise nothing but OSErrors.
            asked = fs if isinstance(fs, LocalFileSystem) else Told(fs, self._scheme)
            return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(asked)), path

    def try_out(self) -> None:
        """Write, read and remove a small file."""
        probe, content = self.at(f".distune-{uuid4().hex}"), b"distune was here"
        probe.write(content)
        if probe.read() != content:
            raise StorageError(f"{self} gives back another file than was written; look whether a proxy is in between")
        probe.remove()

    @property
    def _scheme(self) -> str:
        return str(self.location).partition("://")[0] if self.is_uri else "file"

    @contextmanager
    def _told(self) -> Iterator[tuple[Any, str]]:
        """The file system and the path in it; what a client raises in the block becomes a StorageError."""
        try:
            # A listing that is remembered would hide what other nodes write.
            fs, path = fsspec.core.url_to_fs(str(self.location), use_listings_cache=False)
        except ImportError as error:
            extra = EXTRAS.get(self._scheme)
            remedy = f'pip install "distune[{extra}]"' if extra else str(error)
            raise StorageError(f"{self} needs a package that is not installed: {remedy}") from None
        with told(self._scheme, str(self)):
            yield fs, path


def located(text: str | Path) -> Location:
    """A URI as text, anything else as a path; so a checkpoint is noted."""
    return str(text) if IS_URI.match(str(text)) else Path(text)


@contextmanager
def copied_here(folder: str | Path) -> Iterator[Path]:
    """A folder of this machine's disk; of one on storage, a copy for the block."""
    path = StoragePath(located(folder))
    if not path.is_uri:
        yield Path(folder)
        return
    with tempfile.TemporaryDirectory(prefix="distune-") as copy:
        path.download(path.files(), Path(copy))
        yield Path(copy)


def storage_path(filesystem: "FileSystem", path: str) -> StoragePath:
    """What Ray Tune calls by a file system and a path; of this machine's own disk, a path."""
    import pyarrow.fs

    if isinstance(filesystem, pyarrow.fs.PyFileSystem):
        return StoragePath(filesystem.handler.fs.unstrip_protocol(path))
    return StoragePath(Path(path))


@contextmanager
def _written_whole(fs: Any, path: str) -> Iterator[str]:
    """Where to write what is to appear at ``path`` in one step. Buckets do that by themselves, folders by renaming."""
    if not isinstance(fs, LocalFileSystem):
        yield path
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.{uuid4().hex}")
    try:
        yield str(new)
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)


def _version(told: Mapping[str, Any]) -> str:
    named = (told.get(key) for key in ("ETag", "etag", "md5Hash", "mtime", "LastModified"))
    return str(next((value for value in named if value is not None), ""))
