"""What a driver leaves of the journal that was killed in the middle of a write."""

import time

import optuna
import pytest

from search.record.journal import open_journal


def attributes(path) -> dict:
    return optuna.load_study(study_name="sweep/student", storage=open_journal(path)).user_attrs


@pytest.fixture
def journal(tmp_path):
    path = tmp_path / "study.journal"
    study = optuna.create_study(study_name="sweep/student", storage=open_journal(path))
    study.set_user_attr("first", 1)
    return path


@pytest.mark.parametrize(
    "half", [b'{"op_code":2,"study_id":0,"user_', b'{"op_code":2,"study_id":0,"user_attr":{"second":2}}']
)
def test_half_a_line_is_cut_and_the_next_write_is_whole(journal, half):
    whole = journal.read_bytes()
    journal.write_bytes(whole + half)
    study = optuna.load_study(study_name="sweep/student", storage=open_journal(journal))
    study.set_user_attr("third", 3)
    assert journal.read_bytes().startswith(whole)
    assert attributes(journal) == {"first": 1, "third": 3}


def test_a_journal_of_half_a_line_alone_is_empty(tmp_path):
    path = tmp_path / "study.journal"
    path.write_bytes(b'{"op_code":0')
    optuna.create_study(study_name="sweep/student", storage=open_journal(path))
    assert attributes(path) == {}


def test_the_lock_of_a_driver_that_was_killed_while_it_wrote_is_not_waited_for(journal, monkeypatch):
    journal.with_name("study.journal.lock").symlink_to(journal)

    def waited(seconds: float) -> None:
        raise AssertionError("the next write waits for a lock that nobody holds")

    study = optuna.load_study(study_name="sweep/student", storage=open_journal(journal))
    monkeypatch.setattr(time, "sleep", waited)
    study.set_user_attr("second", 2)
    assert attributes(journal) == {"first": 1, "second": 2}
