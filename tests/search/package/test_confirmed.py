"""What can be packaged: a confirmed student of which weights were kept."""

from pathlib import Path

import pytest

from search.home import SweepFolder
from search.package.confirmed import ConfirmedStudent
from spaces.errors import InputError
from tests.search.filled import SHORT, fill


def test_a_sweep_that_is_not_confirmed_is_refused(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path / "hey-sirius")
    fill(folder, SHORT, ("tiny_conv",), confirming_runs=0)
    with pytest.raises(InputError, match="no student is confirmed yet; run: distune confirm hey-sirius"):
        ConfirmedStudent.find(folder, None)
    with pytest.raises(InputError, match="tiny_conv is not confirmed yet"):
        ConfirmedStudent.find(folder, "tiny_conv")


def test_a_student_of_which_nothing_was_kept_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path / "hey-sirius")
    fill(folder, SHORT, ("tiny_conv",))
    with pytest.raises(InputError) as refused:
        ConfirmedStudent.find(folder, None)
    assert [Path(fault.file).name for fault in refused.value.faults] == ["student.safetensors"]
