"""Folders that are whole or not there."""

from pathlib import Path

import pytest

from search.whole import whole_folder


def test_what_fails_half_way_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "out") as folder:
        (folder / "audio.onnx").write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_gives_way_and_another_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with whole_folder(tmp_path / "out") as folder:
        (folder / "card.md").write_text("first")
    with pytest.raises(OSError, match="not empty"), whole_folder(tmp_path / "out") as folder:
        (folder / "card.md").write_text("second")
    assert [each.name for each in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "card.md").read_text() == "first"
