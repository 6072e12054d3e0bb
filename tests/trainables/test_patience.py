import errno
import logging
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.disks import bad_disk, fill, make_room, small_disk
from trainables import patience
from trainables.patience import PatientFile, patiently


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch):
    monkeypatch.setattr(patience, "SECONDS_BETWEEN_ATTEMPTS", 0.05)


def failing(times: int, number: int = errno.ENOSPC):
    """Work that fails so many times."""
    left = [number] * times

    def work() -> str:
        if left:
            raise OSError(left.pop(), "told")
        return "done"

    return work


def test_work_is_done_again_until_storage_takes_it_and_the_log_says_so_once(caplog, monkeypatch):
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda _: now.append(now.pop() + 2))
    monkeypatch.setattr(patience, "time", clock)
    with caplog.at_level(logging.WARNING):
        assert patiently(failing(3), "the record", 60) == "done"
    assert [record.getMessage() for record in caplog.records] == [
        "the record waits for storage, up to 60 s: [Errno 28] told",
        "the record waited 6 s for storage and goes on",
    ]


def test_patience_has_an_end():
    with pytest.raises(OSError, match="told"):
        patiently(failing(1000), "the record", 0.1)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES])
def test_what_is_not_there_or_not_allowed_is_not_waited_for(number):
    work = failing(1, number)
    with pytest.raises(OSError, match="told"):
        patiently(work, "the record", 60)
    assert work() == "done", "it was tried once"


def clock_with(change) -> SimpleNamespace:
    """A clock by which something is done as soon as somebody waits, and not before."""
    return SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: change())


def test_a_file_on_a_full_disk_waits_for_room_and_holds_whole_pieces_alone(tmp_path: Path, caplog, monkeypatch):
    with small_disk(tmp_path / "disk", kilobytes=1000) as disk:
        file = PatientFile(disk / "file", "the file", 60)
        file.append(b"first\n", synced=True)
        fill(disk)
        # The last page of the file has room for a part of the piece.
        piece = b"x" * 10_000 + b"\n"
        monkeypatch.setattr(patience, "time", clock_with(lambda: make_room(disk)))
        file.append(piece, synced=True)
        assert "for storage and goes on" in caplog.text
        assert (disk / "file").read_bytes() == b"first\n" + piece


def test_half_a_piece_is_taken_out_before_the_next_is_written(tmp_path: Path):
    with small_disk(tmp_path / "disk", kilobytes=1000) as disk:
        file = PatientFile(disk / "file", "the file", patience_seconds=0)
        file.append(b"first\n", synced=False)
        fill(disk)
        with pytest.raises(OSError, match="No space left"):
            file.append(b"x" * 10_000 + b"\n", synced=False)
        make_room(disk)
        file.append(b"third\n", synced=False)
        assert (disk / "file").read_bytes() == b"first\nthird\n"


def test_patience_that_came_to_its_end_is_not_had_again_until_a_piece_is_written(tmp_path: Path, caplog):
    with small_disk(tmp_path / "disk", kilobytes=1000) as disk:
        file = PatientFile(disk / "file", "the file", patience_seconds=0.2)
        fill(disk)
        for _ in range(3):
            with pytest.raises(OSError, match="No space left"):
                file.append(b"first\n", synced=False)
        assert caplog.text.count("the file waits for storage") == 1
        make_room(disk)
        file.append(b"second\n", synced=False)
        fill(disk)
        with pytest.raises(OSError, match="No space left"):
            file.append(b"x" * 10_000, synced=False)
        assert caplog.text.count("the file waits for storage") == 2


def test_a_file_waits_for_a_disk_that_fails(tmp_path: Path, monkeypatch):
    with bad_disk(tmp_path / "disk", tmp_path / "behind") as disk:
        file = PatientFile(disk.path / "file", "the file", 60)
        file.append(b"first\n", synced=True)
        disk.fail()
        with pytest.raises(OSError, match="Input/output error"):
            while True:  # the signal takes a while to be heard
                (disk.path / "file").open("ab").close()
        monkeypatch.setattr(patience, "time", clock_with(disk.heal))
        file.append(b"second\n", synced=True)
        assert (disk.path / "file").read_bytes() == b"first\nsecond\n"
