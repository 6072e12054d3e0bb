"""Writes that are gathered: what their own driver, other processes and the disk see of them."""

import json
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection

from search.record.journal import open_journal
from search.record.together import Journal

RUNNING = optuna.trial.TrialState.RUNNING


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.journal"


@pytest.fixture
def journal(path: Path) -> Journal:
    return open_journal(path)


def begin(journal: Journal) -> int:
    study = journal.create_new_study([StudyDirection.MAXIMIZE], "first")
    return journal.create_new_trial(study)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def elsewhere(path: Path) -> JournalStorage:
    """As another process reads it."""
    return JournalStorage(JournalFileBackend(str(path)))


def test_a_block_is_one_write_in_its_order(journal, path, monkeypatch):
    trial, synced = begin(journal), []
    monkeypatch.setattr("os.fsync", synced.append)
    with journal.together():
        for epoch in range(5):
            journal.set_trial_intermediate_value(trial, epoch, epoch / 8)
        assert len(lines(path)) == 2 and not synced, "nobody else sees half of it"
    assert [line["step"] for line in lines(path)[2:]] == [0, 1, 2, 3, 4]
    assert len(synced) == 1


def test_within_the_block_its_driver_reads_what_it_wrote(journal, path):
    trial = begin(journal)
    with journal.together():
        journal.set_trial_user_attr(trial, "layers", (2, 4))
        other = journal.create_new_trial(0)
        journal.set_trial_user_attr(other, "seed", 1)
        assert journal.get_trial(trial).user_attrs == {"layers": [2, 4]}, "as it is read again"
        assert [each.number for each in journal.get_all_trials(0, states=(RUNNING,))] == [0, 1]
    journal.set_trial_user_attr(trial, "seed", 2)
    for storage in (journal, elsewhere(path), open_journal(path)):
        assert storage.get_trial(trial).user_attrs == {"layers": [2, 4], "seed": 2}
        assert storage.get_trial(other).user_attrs == {"seed": 1}


def test_what_was_written_before_a_failure_is_written(journal, path):
    trial = begin(journal)
    with pytest.raises(ZeroDivisionError), journal.together():
        journal.set_trial_user_attr(trial, "seed", 1 // 1)
        journal.set_trial_user_attr(trial, "seed", 1 // 0)
    assert elsewhere(path).get_trial(trial).user_attrs == {"seed": 1}


def test_a_block_within_a_block_is_part_of_it(journal, path):
    trial = begin(journal)
    with journal.together():
        with journal.together():
            journal.set_trial_user_attr(trial, "seed", 1)
        assert len(lines(path)) == 2
    assert len(lines(path)) == 3


def test_a_long_journal_is_not_read_again_from_its_first_line(journal, path, monkeypatch):
    trial = begin(journal)
    for turn in range(20):
        with journal.together():
            journal.set_trial_user_attr(trial, "turn", turn)
    loads, read = json.loads, []
    monkeypatch.setattr("optuna.storages.journal._file.json.loads", lambda text: read.append(text) or loads(text))
    with journal.together():
        journal.set_trial_user_attr(trial, "turn", 20)
    assert sum(isinstance(text, bytes) for text in read) == 1, "its own line alone"
