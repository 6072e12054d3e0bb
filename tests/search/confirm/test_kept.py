"""Confirmed runs are kept under their numbers, each once, and what is gone is left out."""

import pytest

from search.confirm import kept
from search.confirm.kept import keep_students
from search.record.results import SweepResults


@pytest.fixture
def checkpoints(tmp_path, monkeypatch) -> list[str]:
    """The checkpoints that are asked for, in order; that of run 1 is gone."""
    asked: list[str] = []

    def keep(checkpoint, folder):
        asked.append(str(checkpoint))
        folder.mkdir(parents=True)

    monkeypatch.setattr(kept, "has_scores", lambda checkpoint: checkpoint != "ray/1")
    monkeypatch.setattr(kept, "keep", keep)
    return asked


def test_every_run_of_an_arm_is_kept_under_its_number_and_once(searched, run_all, checkpoints):
    record = searched.open()
    ran = run_all(record)
    of_arms = [proposal.number for proposal in ran if proposal.reads_test]
    for _ in range(2):
        keep_students([record.confirmation("tiny_conv")], searched.folder)
    there = sorted(path.name for path in searched.folder.confirmed.iterdir())
    assert there == [f"tiny_conv-{number:03d}" for number in of_arms if number != 1]
    assert len(checkpoints) == len(there)


def test_an_arm_knows_the_numbers_of_its_runs(searched, run_all):
    ran = {(each.config.seed, each.number) for each in run_all(searched.open()) if each.reads_test}
    arms = SweepResults.read(searched.folder).confirmed["tiny_conv"].arms
    assert {pair for arm in arms for pair in arm.numbers.items()} == ran
    assert all(arm.numbers.keys() == arm.runs.keys() for arm in arms)
