"""A record of how files sounded, so that a data set that did not change is not decoded at every start.

What was measured of a file holds while its size and its times of modification and of change stay as they were; the
last is set by the kernel with every write, whatever programs do to the others. The record is a convenience: where it
cannot be read or written, everything is measured afresh.
"""

import contextlib
import logging
import os
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from trainables.audio.frontend import UnreadableAudioError
from trainables.audio.scan import Progress, Sound, scan

VERSION = 1  # raise it when `scan.measure` says something else of the same file
APPLICATION_ID = 0x64697374  # in the file's header, tells it from other programs' databases
BUSY_SECONDS = 30.0
FILES_AT_ONCE = 4096  # are measured, then recorded, so that a killed start loses no more
# A file may be written twice within one tick of its clock; one so young is measured again next time.
SETTLED_NS = 2_000_000_000
# Not a database, a damaged one, or one without our table.
UNUSABLE = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR}
TABLE = """
CREATE TABLE sounds (
    folder TEXT, name TEXT, size INTEGER, modified_ns INTEGER, changed_ns INTEGER,
    content_hash TEXT, seconds REAL, rms REAL, clipped_share REAL, PRIMARY KEY (folder, name)
) WITHOUT ROWID
"""

log = logging.getLogger(__name__)


class _State(NamedTuple):
    """What changes when a file does."""

    size: int
    modified_ns: int
    changed_ns: int


def recorded_scan(
    paths: Iterable[Path], record: Path, progress: Progress | None = None
) -> dict[Path, Sound | UnreadableAudioError]:
    """`scan`, decoding only files that are new or changed since they were noted in ``record``, an SQLite file.

    Files that could not be read are tried again each time.

    Args:
        progress: called with (files done, files in all).
    """
    started_ns = time.time_ns()
    unique = list(dict.fromkeys(paths))
    # Before they are read: what is written in between makes the state differ next time.
    states = {path: state for path in unique if (state := _state(path))}
    sounds: dict[Path, Sound | UnreadableAudioError] = {}
    with _usable(record):
        sounds |= _known(record, states)
    tell = progress or (lambda done, of: None)
    tell(len(sounds), len(unique))
    new = [path for path in unique if path not in sounds]
    for start in range(0, len(new), FILES_AT_ONCE):
        n_before = len(sounds)

        def tell_of_all(done: int, _: int, n_before: int = n_before) -> None:
            tell(n_before + done, len(unique))

        fresh = scan(new[start : start + FILES_AT_ONCE], tell_of_all)
        sounds |= fresh
        settled = {
            path: sound
            for path, sound in fresh.items()
            if isinstance(sound, Sound) and path in states and started_ns - states[path].changed_ns > SETTLED_NS
        }
        with _usable(record):
            _note(record, states, settled)
    return {path: sounds[path] for path in unique}


def _state(path: Path) -> _State | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return _State(found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _known(record: Path, states: Mapping[Path, _State]) -> dict[Path, Sound]:
    """Of the files in these states, those that are recorded in the same."""
    folders: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in states:
        folder, name = os.path.split(path)
        folders[folder][name] = path
    known = {}
    with _open(record) as database:
        for folder, names in folders.items():
            rows = database.execute("SELECT * FROM sounds WHERE folder = ?", (folder,))
            for _, name, size, modified_ns, changed_ns, *sound in rows:
                if name in names and states[names[name]] == (size, modified_ns, changed_ns):
                    known[names[name]] = Sound(*sound)
    return known


def _note(record: Path, states: Mapping[Path, _State], sounds: Mapping[Path, Sound]) -> None:
    rows = [
        (*os.path.split(path), *states[path], sound.content_hash, sound.seconds, sound.rms, sound.clipped_share)
        for path, sound in sounds.items()
    ]
    with _open(record) as database, database:
        database.executemany("INSERT OR REPLACE INTO sounds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


class _ForeignError(Exception):
    """The file is another program's database."""


@contextmanager
def _open(record: Path) -> Iterator[sqlite3.Connection]:
    """The record, begun where it is missing or of another version."""
    with contextlib.closing(sqlite3.connect(record, timeout=BUSY_SECONDS)) as database:
        application, version, n_tables = (
            database.execute(question).fetchone()[0]
            for question in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
        )
        if n_tables and application != APPLICATION_ID:
            raise _ForeignError("it is another program's database")
        if not n_tables or version != VERSION:
            # Taken before the table is looked for, so that of two processes one makes it.
            database.execute("BEGIN IMMEDIATE")
            database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            if database.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                database.execute("DROP TABLE IF EXISTS sounds")
                database.execute(TABLE)
                database.execute(f"PRAGMA user_version = {VERSION}")
            database.commit()
        yield database


@contextmanager
def _usable(record: Path) -> Iterator[None]:
    """Go on without the record where it fails; what no start could ever use is set aside."""
    try:
        yield
    except (sqlite3.DatabaseError, _ForeignError) as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
        if isinstance(error, _ForeignError) or code in UNUSABLE:
            aside = record.with_name(f"{record.name}.{time.time_ns()}.aside")
            log.warning("%s is no record of sounds (%s); it is now %s", record, error, aside.name)
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                record.rename(aside)
            # It would be taken for an unfinished write to the next record.
            record.with_name(f"{record.name}-journal").unlink(missing_ok=True)
        else:
            log.warning("%s is not used: %s; clips are read once more", record, error)
