"""What a sweep reads that this machine may have to fetch: its clips and recordings; and the storage that it names."""

from typing import NamedTuple

from search.home import Home
from search.screen.steps import Steps
from spaces.errors import Fault, gathering, refuse
from spaces.sections import Data, Views
from spaces.sweep import SweepConfig
from trainables.audio.check import LoadedClips, load_clips
from trainables.audio.views import ViewMaker
from trainables.storage.fetching import Sources, fetched
from trainables.storage.path import StoragePath
from trainables.storage.told import StorageError


class DataHere(NamedTuple):
    """Clips and views on this machine, and where other machines fetch what they are made of."""

    clips: LoadedClips
    views: ViewMaker
    sources: Sources


def read_data(data: Data, home: Home, step: Steps) -> DataHere:
    """Fetch what is named by URI, then read it.

    Raises:
        InputError: every fault of clips and views at once.
    """
    here, sources = _brought(data, home, step)
    faults: list[Fault] = []
    with gathering(faults):
        views = ViewMaker(here.views)
    with gathering(faults), step("reading clips") as progress:
        clips = load_clips(here, progress, home.sounds)
    refuse(faults)
    return DataHere(clips, views, sources)


def read_clips(data: Data, home: Home, step: Steps) -> LoadedClips:
    """The clips alone, fetched where they are named by URI.

    Raises:
        InputError: every fault of them at once.
    """
    here, _ = _brought(data.model_copy(update={"views": Views()}), home, step)
    with step("reading clips") as progress:
        return load_clips(here, progress, home.sounds)


def _brought(data: Data, home: Home, step: Steps) -> tuple[Data, Sources]:
    if not data.is_remote:
        return data, ()
    with step("fetching data") as progress:
        return fetched(data, home.cache, progress)


def storage_of(sweep: SweepConfig, faults: list[Fault]) -> StoragePath | None:
    """The storage that a sweep names, tried out; what is wrong with it joins ``faults``."""
    if sweep.resources.storage is None:
        return None
    storage = StoragePath(sweep.resources.storage)
    try:
        storage.try_out()
    except StorageError as error:
        remedy = f"cannot be written and read from here: {error}; correct it, or give this machine access"
        faults.append(Fault(sweep.name, "resources.storage", str(storage), remedy))
    return storage
