"""The queue to MLflow: on disk whatever it holds, so that neither memory nor a trial's patience is the limit."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from search.tracking import writer as tracking_writer
from search.tracking.batch import Batch, Point, RunKey
from search.tracking.faults import UnavailableError
from search.tracking.spool import Spool
from search.tracking.writer import Writer

KEY = RunKey("tiny_conv", 0)


class Away:
    """A store that does not answer until ``back`` is set, and then takes everything."""

    def __init__(self) -> None:
        self.back = threading.Event()
        self.points: list[int] = []
        self.most_at_once = 0

    def write(self, batch: Batch) -> None:
        self.most_at_once = max(self.most_at_once, len(batch.points))
        if not self.back.is_set():
            raise UnavailableError("connection refused")
        self.points += [point.step for point in batch.points]


@pytest.fixture(autouse=True)
def _small_and_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking_writer, "MOST_POINTS", 50)
    monkeypatch.setattr(tracking_writer, "TAKEN_AT_ONCE", 10)
    monkeypatch.setattr(tracking_writer, "GATHER_SECONDS", 0.01)
    monkeypatch.setattr(tracking_writer, "FIRST_WAIT_SECONDS", 0.01)


def batch(step: int, key: RunKey = KEY) -> Batch:
    return Batch(key, 1, points=[Point("f1", 0.5, step, 1)])


def test_what_waits_beyond_a_bound_waits_on_disk_and_arrives_once_in_order(tmp_path: Path, wait_for: Callable):
    store, spool = Away(), Spool(tmp_path / "spool")
    writer = Writer(store, "http://away", spool)
    for step in range(500):
        writer.put(batch(step))
    wait_for(lambda: store.most_at_once > 0)
    time.sleep(0.2)
    assert store.most_at_once <= 60 and spool.untaken >= 440
    store.back.set()
    assert writer.close(30) == 0
    assert store.points == list(range(500))
    assert (tmp_path / "spool").read_bytes() == b""


def test_what_is_left_is_counted_whether_in_memory_or_on_disk_and_is_there_for_the_next(tmp_path: Path, caplog):
    store = Away()
    writer = Writer(store, "http://away", Spool(tmp_path / "spool"))
    for step in range(100):
        writer.put(batch(step, RunKey("tiny_conv", step % 3)))
    assert writer.close(0.5) == 100
    assert "3 runs with 100 points and files are yet to be written" in caplog.text
    writer._thread.join()  # else it may be about to write, whatever the time
    store.back.set()
    assert Writer(store, "http://back", Spool(tmp_path / "spool")).close(30) == 0
    assert sorted(store.points) == list(range(100))


def test_batches_that_come_while_the_spool_is_emptied_are_read_as_they_were_written(tmp_path: Path):
    spool = Spool(tmp_path / "spool")
    for round_ in range(3):
        for step in range(5):
            spool.add(batch(10**round_ + step))
        taken = [each.points[0].step for each in spool.take(10)]
        assert taken == [10**round_ + step for step in range(5)]
        spool.clear_if(lambda: True)
        assert (tmp_path / "spool").read_bytes() == b""


def test_a_run_that_cannot_be_written_keeps_others_neither_from_memory_nor_from_mlflow(tmp_path: Path, wait_for):
    class HalfAway(Away):
        def write(self, batch: Batch) -> None:
            if batch.run.trial == 0:
                batch.points.clear()  # its points are written, and a file of its is not
                raise UnavailableError("no room for artifacts")
            self.points += [point.step for point in batch.points]

    store = HalfAway()
    writer = Writer(store, "http://half", Spool(tmp_path / "spool"))
    for step in range(300):
        writer.put(batch(step, RunKey("tiny_conv", step % 2)))
    wait_for(lambda: len(store.points) == 150)
    writer.close(0.1)
    assert store.points == list(range(1, 300, 2))
