"""``distune package``, whole, with a student that was trained and clips that were spoken."""

import io
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from search.cli import main as cli
from search.home import SweepFolder
from search.package.clips import ClipSet
from search.package.confirmed import ConfirmedStudent
from search.package.figures import pauc
from search.package.onnx_student import OnnxStudent
from search.record.results import SweepResults
from tests.search.commands import Done, assert_refused
from trainables.audio.check import load_clips
from trainables.audio.clips import find_clips
from trainables.threshold import operating_threshold

pytestmark = pytest.mark.slow
FILES = {"README.md", "package.json", "student.safetensors", "audio.onnx", "log_mel.onnx", "log_mel.int8.onnx"}


@pytest.fixture(scope="module")
def command(home_folder: Path) -> Callable[..., Done]:
    """distune's command line in this process, at the sweep's home."""

    def run(*arguments: str) -> Done:
        shown, told = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(shown), redirect_stderr(told):
            patch.setenv("DISTUNE_HOME", str(home_folder))
            patch.setattr(sys, "argv", ["distune", *arguments])
            with pytest.raises(SystemExit) as ended:
                cli.main()
        return Done(int(ended.value.code or 0), shown.getvalue(), told.getvalue())

    return run


@pytest.fixture(scope="module")
def made(command: Callable[..., Done], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    out = tmp_path_factory.mktemp("out") / "shipped"
    return out, command("package", "hey-sirius", "--student", "tiny_conv", "--out", str(out))


def test_the_folder_holds_every_file_and_nothing_is_left_beside_it(made: tuple[Path, Done]) -> None:
    out, done = made
    assert done.status == 0, done.told
    assert {path.name for path in out.iterdir()} == FILES
    assert [path.name for path in out.parent.iterdir()] == ["shipped"]


def test_onnx_says_what_torch_says_from_log_mel_and_from_raw_audio(
    made: tuple[Path, Done], sweep_folder: SweepFolder
) -> None:
    shipped = ConfirmedStudent.find(sweep_folder, None)
    clips = ClipSet.read(load_clips(shipped.sweep.data).clips)
    mels = clips.log_mel()
    with torch.inference_mode():
        expected = shipped.build()(torch.from_numpy(mels)).numpy()
    assert np.abs(expected).max() > 1  # it has learnt something that can be got wrong
    for file, inputs in (("log_mel.onnx", mels), ("audio.onnx", clips.audio), ("audio.onnx", 0.01 * clips.audio)):
        assert np.abs(OnnxStudent(made[0] / file).logits(inputs) - expected).max() < 1e-4, file


def test_int8_costs_at_most_a_point_or_is_told_of(made: tuple[Path, Done], sweep_folder: SweepFolder) -> None:
    out, done = made
    told = json.loads((out / "package.json").read_text())["int8"]
    shipped = ConfirmedStudent.find(sweep_folder, None)
    clips = load_clips(shipped.sweep.data)
    for split in ("val", "test"):
        chosen = ClipSet.read(clips.of(split))
        for kind, file in (("float", "log_mel.onnx"), ("int8", "log_mel.int8.onnx")):
            measured = pauc(OnnxStudent(out / file).scores(chosen.log_mel()), chosen.labels)
            assert told[f"{split}_{kind}"] == pytest.approx(measured)
    lost = max(told["val_float"] - told["val_int8"], told["test_float"] - told["test_int8"])
    assert told["within_a_point"] == (lost <= 0.01)
    assert ("more than one point" in done.shown) == (lost > 0.01)
    assert ("more than one point" in (out / "README.md").read_text()) == (lost > 0.01)


def test_int8_really_is_int8(made: tuple[Path, Done]) -> None:
    model = onnx.load(made[0] / "log_mel.int8.onnx")
    weights = [tensor for tensor in model.graph.initializer if len(tensor.dims) >= 2]
    assert weights and all(tensor.data_type == onnx.TensorProto.INT8 for tensor in weights)
    assert (made[0] / "log_mel.int8.onnx").stat().st_size < 0.4 * (made[0] / "log_mel.onnx").stat().st_size


def test_models_take_a_batch_of_any_size_and_say_what_they_are(made: tuple[Path, Done]) -> None:
    for file, shape in (("audio.onnx", (24_000,)), ("log_mel.onnx", (1, 64, 151)), ("log_mel.int8.onnx", (1, 64, 151))):
        session = onnxruntime.InferenceSession(str(made[0] / file))
        for n_clips in (1, 3):
            inputs = np.zeros((n_clips, *shape), np.float32)
            assert session.run(["logits"], {session.get_inputs()[0].name: inputs})[0].shape == (n_clips, 2)
    told = session.get_modelmeta().custom_metadata_map
    assert told["student"] == "tiny_conv" and told["sweep"] == "hey-sirius" and "trial" in told and "seed" in told


def test_the_weights_are_the_kept_ones_and_the_threshold_is_validations(
    made: tuple[Path, Done], sweep_folder: SweepFolder
) -> None:
    shipped = ConfirmedStudent.find(sweep_folder, None)
    kept = load_file(shipped.weights)
    for name, tensor in load_file(made[0] / "student.safetensors").items():
        assert torch.equal(tensor, kept[name])
    val = ClipSet.read(load_clips(shipped.sweep.data).of("val"))
    scores = OnnxStudent(made[0] / "log_mel.onnx").scores(val.log_mel())
    told = json.loads((made[0] / "package.json").read_text())
    assert told["threshold"] == pytest.approx(operating_threshold(scores, val.labels, fpr=shipped.sweep.objective.fpr))
    assert f"{told['threshold']:.4f}" in made[1].shown


def test_what_a_device_needs_stands_beside_the_platforms_targets(made: tuple[Path, Done]) -> None:
    assert "fits size_targets of ESP32-S3: 256 kB of flash, 192 kB of RAM" in made[1].shown


def test_the_card_has_its_sections_and_the_facts_their_kinds(made: tuple[Path, Done]) -> None:
    text = (made[0] / "README.md").read_text()
    heads = ["Files", "Intended use", "Data and teacher", "Metrics", "Parity", "Cost", "Limits"]
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == heads
    assert "None" not in text and "nan" not in text and "not those" not in text
    told = json.loads((made[0] / "package.json").read_text())
    assert told["boards"]["ESP32-S3"] is True and told["size_targets"] == {"max_flash_kb": 64, "max_ram_kb": 57}
    assert set(told["latency"]) == {"audio.onnx", "log_mel.onnx", "log_mel.int8.onnx"}
    for each in told["latency"].values():  # of a clip of 1.5 s
        assert 0 < each["real_time_factor"] == pytest.approx(each["median_ms"] / 1500)


def test_a_folder_that_is_there_is_refused_and_left_as_it_is(
    command: Callable[..., Done], made: tuple[Path, Done]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in made[0].iterdir()}
    assert_refused(command("package", "hey-sirius", "--out", str(made[0])), "--out")
    assert {path: path.stat().st_mtime_ns for path in made[0].iterdir()} == before


def test_all_faults_are_told_at_once(
    command: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.package.extra.NEEDED", ("onnx", "onnx_of_the_future"))
    (tmp_path / "file").write_text("")
    done = command("package", "hey-sirius", "--student", "resnet18", "--out", str(tmp_path / "file"))
    assert_refused(done, "onnx_of_the_future", "--out", "--student = 'resnet18'")
    assert 'pip install "distune[export]"' in done.told


def test_onnx_that_says_something_else_than_torch_is_not_shipped(
    command: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.package.frontend.TOP_DB", 40.0)
    done = command("package", "hey-sirius", "--out", str(tmp_path / "out"))
    assert done.status == 1 and "nothing was written" in done.told and "Traceback" not in done.told
    assert list(tmp_path.iterdir()) == []


def test_clips_that_moved_are_named_by_an_option_and_others_are_told_of(
    command: Callable[..., Done], sweep_folder: SweepFolder, tmp_path: Path
) -> None:
    data = SweepResults.read(sweep_folder).sweep.data
    clips = find_clips(data)
    assert_refused(
        command("package", "hey-sirius", "--out", str(tmp_path / "out"), "--data", str(tmp_path / "gone")), "--data"
    )
    lines = [f"{clip.path},{clip.label},{clip.split}" for clip in clips if not clip.hard]
    (tmp_path / "clips.csv").write_text("\n".join(["path,label,split", *lines]) + "\n")
    moved = ("--data", str(tmp_path / "clips.csv"))
    assert_refused(command("package", "hey-sirius", "--out", str(tmp_path / "out"), *moved), "--allow-outside")
    done = command("package", "hey-sirius", "--out", str(tmp_path / "out"), *moved, "--allow-outside")
    assert done.status == 0 and "not those that the sweep was confirmed on" in done.told
    assert "not those that the sweep was confirmed on" in (tmp_path / "out" / "README.md").read_text()
