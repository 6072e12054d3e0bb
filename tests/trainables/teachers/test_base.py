"""Fingerprints, heads and saving, whatever the encoder."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from spaces.errors import InputError
from trainables.teachers.base import digest
from trainables.teachers.folder import whole_folder
from trainables.teachers.head import LinearHead, PlatformHead, one_layer

TENSORS = {"weight": torch.tensor([1.0, 2.0]), "count": torch.tensor(3), "half": torch.ones(1, dtype=torch.bfloat16)}


def test_a_digest_is_the_same_in_another_process_and_another_order():
    code = (
        "import torch; from trainables.teachers.base import digest; print(digest("
        "{'half': torch.ones(1, dtype=torch.bfloat16), 'count': torch.tensor(3), 'weight': torch.tensor([1., 2.])}, "
        "{'b': 2, 'a': 1}))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == digest(TENSORS, {"a": 1, "b": 2})


@pytest.mark.parametrize(
    "other",
    [
        {**TENSORS, "weight": torch.tensor([1.0, 2.5])},
        {**TENSORS, "weight": torch.tensor([[1.0, 2.0]])},
        {**TENSORS, "count": torch.tensor(3, dtype=torch.int32)},
    ],
    ids=["value", "shape", "type"],
)
def test_a_digest_tells_values_shapes_and_types_apart(other):
    assert digest(other, {}) != digest(TENSORS, {})


def test_a_linear_head_averages_layers_and_then_weighs():
    head = LinearHead(torch.tensor([0.25, 0.75]), torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([0.0, 1.0]))
    pooled = torch.tensor([[[4.0, 8.0], [8.0, 0.0]]])  # mean of layers: 7, 2
    assert head(pooled).tolist() == [[7.0, 5.0]]


def test_a_score_becomes_the_difference_of_two_logits():
    head = LinearHead.of_score(one_layer(1, 2), torch.tensor([3.0]), -1.0)
    assert head(torch.tensor([[[9.0], [2.0]]])).tolist() == [[-2.5, 2.5]]  # 3 * 2 - 1 = 5


def test_the_platforms_head_reads_the_last_layer():
    head = PlatformHead(
        torch.tensor([[1.0], [-1.0]]), torch.zeros(2), torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([0.5, 0.0])
    )
    assert head(torch.tensor([[[9.0], [2.0]], [[9.0], [-2.0]]])).tolist() == [[2.5, 6.0], [4.5, 8.0]]


def test_a_folder_appears_whole_and_replaces_an_earlier_teacher(tmp_path):
    folder = tmp_path / "new" / "teacher"
    for content in ("first", "second"):
        with whole_folder(folder) as temporary:
            (temporary / "config.json").write_text(content)
    assert [path.name for path in folder.parent.iterdir()] == ["teacher"]
    assert (folder / "config.json").read_text() == "second"


def test_a_saved_files_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "any").write_text("")
    with whole_folder(tmp_path / "teacher") as temporary:
        (temporary / "model.safetensors").write_text("")
        (temporary / "model.safetensors").chmod(0o600)
    modes = [path.stat().st_mode for path in (tmp_path / "any", tmp_path / "teacher" / "model.safetensors")]
    assert modes[0] == modes[1]


def test_an_interrupted_save_leaves_the_earlier_teacher_and_nothing_else(tmp_path):
    (tmp_path / "teacher").mkdir()
    (tmp_path / "teacher" / "config.json").write_text("first")
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "teacher") as temporary:
        (temporary / "config.json").write_text("second")
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["teacher"]
    assert (tmp_path / "teacher" / "config.json").read_text() == "first"


def test_a_folder_with_other_files_is_never_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"holds 'thesis\.tex'"), whole_folder(tmp_path):
        pass
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"), whole_folder(tmp_path / "file" / "teacher"):
        pass


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"), whole_folder(tmp_path / "file"):
        pass


def test_a_full_disk_is_one_clear_message(tmp_path):
    with pytest.raises(InputError, match="No space left on device"), whole_folder(tmp_path / "teacher"):
        Path("/dev/full").write_text("weights")
    assert list(tmp_path.iterdir()) == []
