"""Disks that are full, fail or hang while trials train: real disks, of which the workers or the driver write to."""

import time

import pytest

from search.home import open_home
from tests.disks import bad_disk, fill, make_room, small_disk
from tests.search.faults.searching import STUDENT, meanwhile

pytestmark = pytest.mark.slow


def test_a_full_disk_of_the_driver_halts_the_sweep_until_there_is_room(
    add_node, searching, monkeypatch, tmp_path, fresh_database, caplog
):
    add_node(num_cpus=2)
    with small_disk(tmp_path / "disk", kilobytes=20_000) as disk:
        home = open_home(disk / "home")
        (home.root / "mlflow.db").write_bytes(fresh_database.read_bytes())
        # Epochs enough to use up the room that the record's last page has yet, without waiting for checkpoints.
        sweep = searching(folder=home.sweep("first").path, at=home, n_epochs=20, patience_seconds=1)

        def is_halted() -> bool:
            fill(disk)  # again and again, for older checkpoints are deleted
            return "waits for storage" in caplog.text

        def fill_the_disk() -> None:
            sweep.until(lambda: sweep.n_reports > 3)
            sweep.until(is_halted)
            time.sleep(3)
            # Not that there is no report: a worker that gives up saving gives back room, in which some are recorded.
            n_trained = sweep.ledger.count("epoch")
            assert n_trained <= sweep.n_reports + sweep.n_trials, "it goes on without a record"
            make_room(disk)

        with meanwhile(fill_the_disk):
            record = sweep.run(monkeypatch)
        sweep.assert_whole(record, most_repeated=0)


def test_a_full_disk_of_a_worker_costs_checkpoints_and_no_trial(add_node, searching, monkeypatch, tmp_path):
    with small_disk(tmp_path / "disk", kilobytes=5_000) as disk:
        add_node(env={"TMPDIR": str(disk)})
        add_node()
        full = tmp_path / "full"
        sweep = searching(patience_seconds=1, awaits={2: full})

        def is_full() -> bool:
            fill(disk)  # again and again, for what was being saved is deleted
            return "No space left on device" in sweep.folder.log.read_text()

        def fill_the_disk() -> None:
            sweep.until(lambda: sweep.n_checkpoints == 2)
            fill(disk)
            full.touch()
            sweep.until(is_full)

        with meanwhile(fill_the_disk):
            record = sweep.run(monkeypatch)
        sweep.assert_whole(record, most_repeated=0)
        saved = [sum(line[:2] == ("saved", number) for line in sweep.ledger.lines()) for number in (0, 1)]
        assert max(saved) == sweep.n_epochs > min(saved) > 0, "one of them could not save to the end"


# What storage is said to survive takes as long as that; a shorter while is the same.
@pytest.mark.parametrize("seconds", [8, pytest.param(30, marks=pytest.mark.long)])
def test_storage_that_fails_and_then_hangs_is_waited_for(
    add_node, searching, monkeypatch, tmp_path, fresh_database, seconds
):
    add_node(num_cpus=2)
    with bad_disk(tmp_path / "disk", tmp_path / "behind") as disk:
        home = open_home(disk.path / "home")
        (home.root / "mlflow.db").write_bytes(fresh_database.read_bytes())
        sweep = searching(folder=home.sweep("first").path, at=home, n_epochs=16)

        def disturb() -> None:
            sweep.until(lambda: sweep.n_checkpoints == 2)
            disk.fail()
            time.sleep(seconds)
            disk.heal()
            sweep.goes_on()
            disk.hang()
            time.sleep(seconds)
            disk.go_on()
            sweep.goes_on()

        with meanwhile(disturb):
            record = sweep.run(monkeypatch)
        sweep.assert_whole(record, most_repeated=0)
        assert [trial.user_attrs.get("lost") for trial in record.trials(STUDENT)] == [None, None]
