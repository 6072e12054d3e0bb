"""The record of sounds: what is decoded again, what is not, and what a bad record costs."""

import logging
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from spaces.sections import Data
from trainables.audio import scan as scanning
from trainables.audio import sounds
from trainables.audio.check import check_data, load_clips
from trainables.audio.frontend import UnreadableAudioError
from trainables.audio.scan import Sound, scan
from trainables.audio.sounds import recorded_scan

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _files_settle_at_once(monkeypatch):
    monkeypatch.setattr(sounds, "SETTLED_NS", -(10**18))


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """Names of the files that are decoded from now on."""
    names, measure = [], scanning.measure
    monkeypatch.setattr(scanning, "measure", lambda path: names.append(path.name) or measure(path))
    return names


@pytest.fixture
def files(record, tmp_path) -> list[Path]:
    return [record(f"clips/{folder}/{i}.wav") for folder in ("a", "b") for i in range(3)]


@pytest.fixture
def database(tmp_path) -> Path:
    return tmp_path / "sounds.sqlite"


def test_a_file_that_did_not_change_is_decoded_once_and_sounds_the_same(files, database, decoded):
    first = recorded_scan(files, database)
    assert sorted(decoded) == sorted(path.name for path in files)
    decoded.clear()
    again = recorded_scan(files, database)
    assert decoded == [] and again == first == scan(files) and list(again) == files
    assert all(isinstance(sound, Sound) for sound in again.values())


def test_a_file_that_changed_is_decoded_again_though_size_and_time_are_as_before(files, database, decoded):
    recorded_scan(files, database)
    before, sound = files[1].stat(), bytearray(files[1].read_bytes())
    sound[-2] ^= 1
    files[1].write_bytes(sound)
    os.utime(files[1], ns=(before.st_atime_ns, before.st_mtime_ns))
    decoded.clear()
    assert recorded_scan(files, database) == scan(files)
    assert decoded[: -len(files)] == [files[1].name]


def test_files_that_are_new_are_added_and_those_that_cannot_be_read_are_tried_each_time(
    files, database, decoded, tmp_path
):
    recorded_scan(files[:4], database)
    files[5].write_bytes(b"no audio")
    gone = tmp_path / "gone.wav"
    for _ in range(2):
        decoded.clear()
        found = recorded_scan([*files, gone], database)
        assert isinstance(found[files[5]], UnreadableAudioError) and isinstance(found[gone], UnreadableAudioError)
    assert sorted(decoded) == ["2.wav", "gone.wav"]


def test_a_file_so_young_that_it_may_be_written_again_is_not_recorded(files, database, decoded, monkeypatch):
    monkeypatch.setattr(sounds, "SETTLED_NS", 10**18)
    for _ in range(2):
        recorded_scan(files, database)
    assert len(decoded) == 2 * len(files)


def test_progress_counts_recorded_files_too(files, database):
    recorded_scan(files[:4], database)
    told = []
    recorded_scan(files, database, lambda done, of: told.append((done, of)))
    assert told == [(4, 6), (5, 6), (6, 6)]


def test_measures_are_recorded_as_the_scan_goes_on(files, database, decoded, monkeypatch):
    monkeypatch.setattr(sounds, "FILES_AT_ONCE", 2)

    def killed(done: int, of: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recorded_scan(files, database, killed)
    decoded.clear()
    recorded_scan(files, database)
    assert len(decoded) == 2


@pytest.mark.parametrize("damage", ["not a database", "cut off", "of another program", "without its table"])
def test_a_record_that_cannot_be_used_is_set_aside_and_begun_anew(files, database, decoded, damage, caplog):
    recorded_scan(files, database)
    if damage == "not a database":
        database.write_bytes(b"something else" * 100)
    elif damage == "cut off":
        with open(database, "r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * 8192)
    else:
        database.unlink()
        with sqlite3.connect(database) as other:
            other.execute("CREATE TABLE notes (text)")
            if damage == "without its table":
                other.execute(f"PRAGMA application_id = {sounds.APPLICATION_ID}")
                other.execute(f"PRAGMA user_version = {sounds.VERSION}")
    before = database.read_bytes()
    with caplog.at_level(logging.WARNING):
        assert recorded_scan(files, database) == scan(files)
    aside = list(database.parent.glob("sounds.sqlite.*.aside"))
    assert len(aside) == 1 and aside[0].read_bytes() == before and aside[0].name in caplog.text
    decoded.clear()
    recorded_scan(files, database)
    assert decoded == []


def test_a_record_of_an_older_version_is_begun_anew(files, database, decoded, monkeypatch):
    recorded_scan(files, database)
    monkeypatch.setattr(sounds, "VERSION", sounds.VERSION + 1)
    for _ in range(2):
        decoded.clear()
        recorded_scan(files, database)
    assert decoded == [] and not list(database.parent.glob("*.aside"))


def test_a_record_that_another_process_holds_is_done_without(files, database, monkeypatch, caplog):
    recorded_scan(files[:1], database)
    monkeypatch.setattr(sounds, "BUSY_SECONDS", 0.1)
    with sqlite3.connect(database, isolation_level=None) as other, caplog.at_level(logging.WARNING):
        other.execute("BEGIN EXCLUSIVE")
        assert recorded_scan(files, database) == scan(files)
    assert "database is locked; clips are read once more" in caplog.text
    assert not list(database.parent.glob("*.aside"))


@pytest.mark.slow
def test_processes_that_begin_one_record_at_once_all_find_it_whole(files, database, decoded):
    script = (
        "import sys; from pathlib import Path; from trainables.audio import sounds; sounds.SETTLED_NS = -10**18\n"
        "sounds.recorded_scan([Path(path) for path in sys.argv[2:]], Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", script, str(database), *map(str, files)]
    processes = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=120)[1] for process in processes] == ["", "", ""]
    assert recorded_scan(files, database) == scan(files)
    assert len(decoded) == len(files)  # by the last scan alone


def test_loading_reads_from_the_record_and_checking_never_does(record, tmp_path, database, decoded):
    for split in ("train", "val", "test"):
        for name in ("positive/a", "negative/b"):
            record(f"data/{split}/{name}.wav")
    data = Data(path=tmp_path / "data")
    first = load_clips(data, record=database)
    decoded.clear()
    assert load_clips(data, record=database).clips == first.clips and decoded == []
    assert check_data(data) == first.report and len(decoded) == 6
