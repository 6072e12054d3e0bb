"""A sweep's record is read and written where nobody else can have put anything."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import cloudpickle

from search.owned import is_own, refuse_strangers
from search.run.failure import Failure
from spaces.errors import InputError
from tests.search.conftest import RecordedSweep
from tests.trainables.hostile import Payload

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")


def test_ones_own_folder_and_one_that_is_not_there_are_fine(tmp_path: Path):
    tmp_path.chmod(0o775)  # as with a umask of 002
    refuse_strangers(tmp_path)
    refuse_strangers(tmp_path / "none")


def test_a_folder_that_everybody_writes_is_refused_with_the_command_that_mends_it(tmp_path: Path):
    tmp_path.chmod(0o777)
    with pytest.raises(InputError, match=f"can be written by every user; `chmod o-w {tmp_path}`"):
        refuse_strangers(tmp_path)


@as_root
def test_another_users_folder_is_refused(tmp_path: Path):
    os.chown(tmp_path, NOBODY, NOBODY)
    with pytest.raises(InputError, match=r"belongs to another user \(number 65534\).*DISTUNE_HOME"):
        refuse_strangers(tmp_path)


def test_where_the_disk_gives_our_files_to_another_user_that_one_is_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # As a network disk that squashes root, or a container with a mapping, where our number is not that of our files.
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert is_own(tmp_path)


def test_neither_driver_nor_reader_touches_such_a_sweep(recorded: RecordedSweep):
    folder = recorded.folder.create()
    folder.path.chmod(0o777)
    with pytest.raises(InputError, match="every user"), folder.claimed():
        pass
    with pytest.raises(InputError, match="every user"):
        folder.read()
    assert not (folder.path / "driver.lock").exists()


@pytest.mark.parametrize("planted", [False, True])
def test_a_trials_error_is_unpickled_where_it_is_our_own(tmp_path: Path, planted: bool):
    mark = tmp_path / "mark"
    pickled, text = tmp_path / "error.pkl", tmp_path / "error.txt"
    pickled.write_bytes(cloudpickle.dumps(Payload(mark) if planted else ValueError("no such clip")))
    pickled.chmod(0o666 if planted else 0o644)
    text.write_text("Traceback\nValueError: as text\n")
    trial: Any = SimpleNamespace(pickled_error_file=str(pickled), error_file=str(text))
    assert Failure.of(trial).reason == ("ValueError: as text" if planted else "ValueError: no such clip")
    assert not mark.exists()
