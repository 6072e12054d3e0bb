"""Clips and recordings that a sweep names by URI, brought to the node that reads them."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from spaces.errors import Fault, InputError, gathering, refuse
from spaces.sections import Data, Location
from trainables.storage.cache import Cache
from trainables.storage.path import File, Progress, StoragePath
from trainables.storage.told import StorageError

NOTHING_THERE = "holds no file; correct it, or put the files there"


@dataclass(frozen=True)
class Fetched:
    """What a URI names, as it was listed once; each node fetches the same files."""

    uri: str
    files: dict[str, File]

    @property
    def listing(self) -> str:
        """16 hex digits over the URI and each file's name, size and version."""
        listed = (self.uri, *(f"{name} {file.size} {file.version}" for name, file in self.files.items()))
        return hashlib.sha256("\n".join(listed).encode()).hexdigest()[:16]

    def here(self, cache: Cache, progress: Progress = lambda done, of: None) -> Path:
        """This node's copy, a folder.

        Args:
            progress: told of files done and files in all, where they are fetched.

        Raises:
            InputError: there is no room for it.
            StorageError: it cannot be fetched.
        """
        return cache.keep(cache.data / self.listing, StoragePath(self.uri), lambda: self.files, progress=progress)


Sources = tuple[tuple[Path, Fetched], ...]
"""Folders on one node and where they came from, for other nodes to fetch them too."""


def fetched(data: Data, cache: Cache, progress: Progress = lambda done, of: None) -> tuple[Data, Sources]:
    """Data with every location a path of this node: what is named by URI is brought here.

    A URI of a CSV manifest brings the folder that it lies in.

    Raises:
        InputError: every location that cannot be fetched, or holds nothing.
    """
    faults: list[Fault] = []
    sources: dict[Path, Fetched] = {}

    def brought(location: Location, key: str) -> Location:
        if isinstance(location, Path):
            return location
        with gathering(faults):
            folder, name, source = _bring(location, key, cache, progress)
            sources[folder] = source
            return folder / name
        return location

    def all_brought(locations: Iterable[Location], key: str) -> tuple[Location, ...]:
        return tuple(brought(location, key) for location in locations)

    views = data.views.model_copy(
        update={key: all_brought(getattr(data.views, key), f"data.views.{key}") for key in ("noise", "rir")}
    )
    here = data.model_copy(update={"path": brought(data.path, "data.path"), "views": views})
    refuse(faults)
    return here, tuple(sources.items())


def _bring(uri: str, key: str, cache: Cache, progress: Progress) -> tuple[Path, str, Fetched]:
    """The folder here, the name in it that the URI means, and what was fetched.

    Raises:
        InputError: it cannot be fetched, or there is nothing.
    """
    place = StoragePath(uri)
    try:
        name = place.name if place.is_file() else ""
        folder = place.parent if name else place
        files = folder.files()
        if name and not name.lower().endswith(".csv"):
            files = {name: files[name]}
        if not files:
            raise InputError(Fault(uri, key, None, NOTHING_THERE))
        source = Fetched(str(folder), files)
        return source.here(cache, progress), name, source
    except StorageError as error:
        raise InputError(Fault(uri, key, None, f"cannot be fetched: {error}")) from None
