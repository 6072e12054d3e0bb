"""Whether the storage that all nodes are to reach takes and gives back files, asked from this machine."""

from collections.abc import Iterator

from search.doctor.finding import Finding, Subject, fine, mend
from trainables.storage.path import StoragePath
from trainables.storage.told import StorageError


def check_storage(subject: Subject) -> Iterator[Finding]:
    """Of ``resources.storage``; nothing where the sweep names none. Each node tries it too, before the first trial."""
    if subject.resources.storage is None:
        return
    storage = StoragePath(subject.resources.storage)
    try:
        storage.try_out()
    except StorageError as error:
        remedy = "correct resources.storage, or give this machine access"
        yield mend("storage", f"{storage} cannot be written and read from here: {error}", remedy)
    else:
        yield fine("storage", f"{storage} can be written and read from here")
