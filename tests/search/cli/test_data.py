"""``distune data``: the report on a set of clips, and a synthesised one."""

import itertools
import json
import shutil
from pathlib import Path

import pytest

from tests.search.commands import Run, assert_refused
from tests.trainables.recipes import write_tone

SPLITS = ("train", "val", "test")


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two clips a class and split, no two alike."""
    seeds = itertools.count()
    for split in SPLITS:
        for label in ("positive", "negative"):
            for number in range(2):
                write_tone(tmp_path / "clips" / split / label / f"{number}.wav", 400, next(seeds))
    return tmp_path / "clips"


def test_the_table_counts_clips_by_split_and_label(clips: Path, run: Run) -> None:
    status, shown, told = run("data", "check", str(clips))
    rows = [[cell.strip() for cell in line.split("│")[1:5]] for line in shown.splitlines() if line.startswith("│")]
    assert status == 0 and told == "reading clips\n"
    assert rows == [[split, "2", "2", "0"] for split in SPLITS]


def test_json_is_all_there_is_on_standard_output(clips: Path, run: Run) -> None:
    status, shown, told = run("data", "check", str(clips), "--json")
    report = json.loads(shown)
    assert (status, told, report["faults"]) == (0, "", [])
    assert {split: counts["positive"] for split, counts in report["splits"].items()} == dict.fromkeys(SPLITS, 2)


def test_json_is_whole_where_the_clips_are_refused(clips: Path, run: Run) -> None:
    shutil.rmtree(clips / "val" / "negative")
    done = run("data", "check", str(clips), "--json")
    remedy = "has no negative clips in val; each split needs both classes"
    assert_refused(done, f"{clips}: {remedy}", shown=done.shown)
    assert [fault["remedy"] for fault in json.loads(done.shown)["faults"]] == [remedy]


def test_an_empty_folder_is_refused_without_a_table_of_zeros(tmp_path: Path, run: Run) -> None:
    (tmp_path / "empty").mkdir()
    assert_refused(run("data", "check", str(tmp_path / "empty")), f"{tmp_path}/empty: PATH: holds no clips; expected")


def test_clips_of_one_class_are_refused(clips: Path, run: Run) -> None:
    for split in SPLITS:
        shutil.rmtree(clips / split / "negative")
    done = run("data", "check", str(clips))
    assert_refused(done, f"{clips}: has no negative clips; a detector learns from both", shown=done.shown)


def test_a_missing_train_split_is_refused(clips: Path, run: Run) -> None:
    shutil.rmtree(clips / "train")
    done = run("data", "check", str(clips))
    assert any("no train split" in line for line in done.told.splitlines() if line.startswith("refused: "))
    assert done.status == 2


def test_a_corrupt_file_is_listed_and_counted_and_refused_unless_allowed(clips: Path, run: Run) -> None:
    (clips / "train" / "positive" / "2.wav").write_text("no audio")
    # 1 of 13 files, more than the 1 % that is tolerated.
    done = run("data", "check", str(clips))
    assert_refused(
        done, "--max-unreadable = 0.01: 1 file of 13 (7.7%) cannot be read: train/positive/2.wav", shown=done.shown
    )
    assert "unreadable: train/positive/2.wav: " in done.shown
    allowed = run("data", "check", str(clips), "--max-unreadable", "0.1")
    assert allowed.status == 0
    assert "note: 1 file of 13 (7.7%) cannot be read" in allowed.shown


def test_a_tolerance_that_is_no_share_is_refused(clips: Path, run: Run) -> None:
    assert_refused(run("data", "check", str(clips), "--max-unreadable", "3"), "--max-unreadable = 3.0")


def test_notes_are_not_wrapped(clips: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    shown = run("data", "check", str(clips)).shown
    assert "note: val has only 2 positive clips: its scores will be coarse\n" in shown


def test_a_synthesised_set_passes_the_check(tmp_path: Path, run: Run) -> None:
    out = tmp_path / "data"
    few = ("--positives", "12", "--negatives", "12", "--hard-negatives", "0")
    status, shown, _ = run("data", "synth", "--phrase", "hey sirius", "--out", str(out), *few)
    assert status == 0
    assert "train: 8 positive, 8 negative, 0 hard negative" in shown
    assert run("data", "check", str(out)).status == 0


def test_faults_of_a_synthesis_are_told_by_option_and_leave_nothing_behind(tmp_path: Path, run: Run) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "data"
    done = run("data", "synth", "--phrase", "hey", "--out", str(out), "--positives", "3", "--negatives", "1")
    assert_refused(done, "--positives = 3", "--negatives = 1", f"--out = '{out}': cannot be written (Not a directory)")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_holds_something_is_not_synthesised_into(clips: Path, run: Run) -> None:
    done = run("data", "synth", "--phrase", "", "--out", str(clips))
    assert_refused(done, "--out", "--phrase = '': says nothing")
