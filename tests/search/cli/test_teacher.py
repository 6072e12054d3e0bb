"""``distune teacher``: teachers fitted and measured on tones, and every option that does not fit."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoModelForAudioClassification, Wav2Vec2Config, Wav2Vec2Model

from search.cli import options
from spaces.errors import InputError
from spaces.sections import Teacher
from tests.disks import small_disk
from tests.search.commands import Run, assert_refused
from tests.trainables.recipes import write_tone
from trainables.teachers.load import load_teacher


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips a class and split: wake words are high tones, the others low ones."""
    folder = tmp_path_factory.mktemp("tones")
    for number in range(9):
        split = ("train", "val", "test")[number % 3]
        write_tone(folder / split / "positive" / f"{number}.wav", 2000, number)
        write_tone(folder / split / "negative" / f"{number}.wav", 400, 100 + number)
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Wav2Vec2 of two blocks with random weights, in transformers' format."""
    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    Wav2Vec2Model(small_config()).save_pretrained(folder)
    return folder


def small_config() -> Wav2Vec2Config:
    return Wav2Vec2Config(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=1, intermediate_size=64, conv_dim=(8,) * 7,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
    )  # fmt: skip


def test_a_fitted_head_is_a_teacher_for_sweeps_and_for_transformers(
    run: Run, clips: Path, encoder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "teacher"
    status, shown, told = run("teacher", "fit", "--data", str(clips), "--model", str(encoder), "--out", str(out))
    assert (status, told.splitlines()[0]) == (0, "reading clips")
    assert load_teacher(section_of(shown)).fitted
    logits = AutoModelForAudioClassification.from_pretrained(out)(torch.zeros(1, 24_000)).logits
    assert logits.shape == (1, 2)
    check = run("teacher", "check", "--data", str(clips), "--model", str(out)).shown
    assert all(
        row in check for row in ("wav2vec2 layer 0", "wav2vec2 layer 2", "the teacher itself", "the gate of 0.80")
    )


def test_the_last_block_is_trained_and_the_first_left_alone(
    run: Run, clips: Path, encoder: Path, tmp_path: Path
) -> None:
    options = ("--data", str(clips), "--model", str(encoder), "--unfreeze", "1", "--epochs", "1", "--views", "1")
    status, shown, _ = run("teacher", "fit", *options, "--out", str(tmp_path / "tuned"))
    assert status == 0
    before, after = (load_teacher(config).members["wav2vec2"].blocks for config in (
        Teacher(model=str(encoder)), section_of(shown)))  # fmt: skip
    assert all(torch.equal(old, new) for old, new in zip(before[0].parameters(), after[0].parameters(), strict=True))


@pytest.mark.slow
def test_a_conformer_is_trained_from_scratch_and_joins_a_dual_teacher(
    run: Run, clips: Path, encoder: Path, tmp_path: Path
) -> None:
    data, conformer, dual = ("--data", str(clips), "--views", "1"), tmp_path / "conformer", tmp_path / "dual"
    alone = run("teacher", "fit", *data, "--architecture", "conformer", "--epochs", "1", "--out", str(conformer))
    assert alone.status == 0
    assert section_of(alone.shown) == Teacher(architecture="conformer", model=str(conformer))
    pair = ("--architecture", "dual", "--model", str(encoder), "--secondary-model", str(conformer))
    both = run("teacher", "fit", *data, *pair, "--out", str(dual))
    assert both.status == 0
    assert load_teacher(section_of(both.shown)).fitted


def test_a_platform_checkpoint_is_measured_as_it_is(run: Run, clips: Path, tmp_path: Path) -> None:
    weights = {f"wav2vec2.{key}": value for key, value in Wav2Vec2Model(small_config()).state_dict().items()}
    head = {"0.weight": torch.randn(8, 64), "0.bias": torch.zeros(8), "3.weight": torch.zeros(2, 8),
            "3.bias": torch.tensor([1.0, 0.0])}  # fmt: skip
    torch.save(weights | {f"classifier.{key}": value for key, value in head.items()}, tmp_path / "platform.pt")
    options = ("--data", str(clips), "--model", str(tmp_path / "platform.pt"))
    status, shown, told = run("teacher", "check", *options, "--json")
    report = json.loads(shown)
    # Its head says "no wake word" of every clip.
    assert (status, told, report["passed"], report["splits"]["val"]["f1"]) == (0, "", False, 0.0)
    assert [row["layer"] for row in report["layers"]] == [0, 1, 2]


def test_options_that_do_not_fit_are_told_together_before_anything_is_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "teacher"
    done = run("teacher", "fit", "--data", str(tmp_path), "--out", str(out), "--architecture", "dual",
               "--epochs", "3", "--views", "0")  # fmt: skip
    assert_refused(
        done,
        f"--out = '{out}': cannot be written (Not a directory)",
        "--secondary-model: is missing",
        "--epochs = 3: has no effect on a head",
        "--views = 0",
    )
    assert "reading clips" not in done.told


def test_data_teacher_noise_and_blocks_at_fault_are_told_together(run: Run, encoder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    data = ("--data", str(tmp_path / "empty"), "--noise", "hiss", "--out", str(tmp_path / "out"))
    faults = (f"{tmp_path}/empty: --data: holds no clips", "hiss: --noise: no such file or folder")
    blocks = run("teacher", "fit", *data, "--model", str(encoder), "--unfreeze", "3")
    assert_refused(blocks, *faults, "--unfreeze = 3: the wav2vec2 teacher has 2 blocks")
    (tmp_path / "teacher.pt").write_text("not weights")
    assert_refused(run("teacher", "fit", *data, "--model", str(tmp_path / "teacher.pt")), *faults, "--model: cannot be")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("options", "fault"), [
    (["--architecture", "conformer"], "--model: is missing"),
    (["--secondary-model", "conformer/"], "--secondary-model = 'conformer/': belongs to --architecture dual"),
])  # fmt: skip
def test_a_check_of_a_teacher_that_is_not_named_whole_is_refused(
    options: list[str], fault: str, run: Run, clips: Path
) -> None:
    assert_refused(run("teacher", "check", "--data", str(clips), *options), fault)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", kilobytes=64) as disk:
        yield disk


def test_a_disk_that_is_too_small_for_the_teacher_is_left_empty(
    run: Run, clips: Path, encoder: Path, tiny_disk: Path
) -> None:
    done = run("teacher", "fit", "--data", str(clips), "--model", str(encoder), "--out", str(tiny_disk / "teacher"))
    assert_refused(done, f"{tiny_disk}/teacher: cannot be written")
    assert list(tiny_disk.iterdir()) == []


def test_a_home_without_room_for_the_corpus_is_refused_and_keeps_no_part_of_it(
    run: Run, clips: Path, encoder: Path, tiny_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTUNE_HOME", str(tiny_disk))
    done = run("teacher", "check", "--data", str(clips), "--model", str(encoder))
    assert_refused(done, f"{tiny_disk}/corpora: the corpus needs")
    assert [path for path in (tiny_disk / "corpora").iterdir() if path.suffix != ".lock"] == []


def test_a_file_that_a_full_disk_cannot_hold_leaves_what_was_there(tiny_disk: Path) -> None:
    target = tiny_disk / "best.yaml"
    target.write_text("before")
    with pytest.raises(InputError, match=r"No space left"):
        options.write_whole("--output", target, "x" * 100_000)
    assert {path.name: path.read_text() for path in tiny_disk.iterdir()} == {"best.yaml": "before"}


def test_a_read_only_disk_is_refused_before_anything_is_read(run: Run, tiny_disk: Path, clips: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    out = tiny_disk / "teacher"
    done = run("teacher", "fit", "--data", str(clips), "--out", str(out))
    assert_refused(done, f"--out = '{out}': cannot be written (Read-only file system)")
    assert "reading clips" not in done.told


def section_of(shown: str) -> Teacher:
    """The ``teacher`` section that the command printed for a sweep file."""
    return Teacher.model_validate(yaml.safe_load(shown[shown.index("teacher:\n") :])["teacher"])
