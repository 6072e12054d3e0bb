"""``distune evaluate``: what it prints, writes and refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.search.commands import Run, assert_refused
from tests.search.evaluate.conftest import clips, record, student, weights

__all__ = ["clips", "record", "student", "weights"]


def test_tables_tell_of_clips_and_of_the_detector(weights: Path, clips: Path, record, run: Run, tmp_path: Path) -> None:
    record("kitchen.wav", 10.0, (5.0,))
    words = ("--data", str(clips), "--stream", str(tmp_path / "hours"), "--clean", "--threshold", "0.6")
    files = ("--hard-negatives", str(tmp_path / "more"), "--det", str(tmp_path / "det.html"))
    status, shown, told = run("evaluate", str(weights), *words, *files)
    assert (status, told) == (0, "evaluating, a condition after the other\n")
    assert "12 wake words and 12 other clips of test, 3 speakers" in shown
    assert "threshold 0.6: as asked" in shown and "as recorded" in shown and "noise" not in shown
    assert f"1 false accepts written to {tmp_path / 'more'}/hard_negative" in shown
    assert len(list((tmp_path / "more" / "hard_negative").iterdir())) == 1 and "a sweep reads what" not in shown
    page = (tmp_path / "det.html").read_text()
    assert "DET of the detector" in page and "as recorded, at 0.600: " in page and "lines+markers" in page


def test_json_is_all_there_is_on_standard_output_and_in_the_file(
    weights: Path, clips: Path, run: Run, tmp_path: Path
) -> None:
    done = run("evaluate", str(weights), "--data", str(clips), "--clean", "--json", "-o", str(tmp_path / "found.json"))
    found = json.loads(done.shown)
    assert (done.status, done.told) == (0, "") and found == json.loads((tmp_path / "found.json").read_text())
    (outcome,) = found["outcomes"]
    assert outcome["clips"]["eer"]["value"] == 0 and outcome["operation"]["misses"]["of"] == 12
    assert set(outcome["det"][0]) == {"threshold", "false_accepts_per_hour", "miss_rate"}
    assert found["streaming"]["cooldown_ms"] == 500 and found["for_rate"] is None


def test_the_detector_of_a_platform_config_is_taken(weights: Path, clips: Path, run: Run, tmp_path: Path) -> None:
    section = "{hysteresis_high: 0.6, hysteresis_low: 0.2, buffer_length_ms: 1500, smoothing_window: 3, cooldown_ms: 0}"
    (tmp_path / "config.yaml").write_text(f"config_name: mine\nstreaming: {section}\n")
    words = ("--data", str(clips), "--clean", "--json", "--streaming", str(tmp_path / "config.yaml"))
    found = json.loads(run("evaluate", str(weights), *words).shown)
    assert found["streaming"] == {
        "hysteresis_high": 0.6, "hysteresis_low": 0.2, "smoothing_window": 3, "cooldown_ms": 0, "hop_ms": 100
    }  # fmt: skip
    assert found["threshold"] == 0.6


def test_all_faults_are_told_at_once(clips: Path, run: Run, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("streaming: {smoothing_windw: 3, cooldown_ms: -1}")
    options = ("--split", "dev", "--threshold", "1.5", "--rate", "0", "--hard-negatives", str(tmp_path / "more"))
    files = ("--streaming", str(config), "-o", "/", "--det", "/no/where")
    done = run("evaluate", str(tmp_path / "gone"), "--data", str(clips), *options, *files)
    assert_refused(
        done,
        f"{tmp_path}/gone: MODEL: no such file or folder",
        f"{config}: streaming.smoothing_windw = 3: unknown key",
        f"{config}: streaming.cooldown_ms = -1",
        "--split = 'dev'",
        "--threshold = 1.5",
        "--rate = 0.0",
        "--hard-negatives",
        "--output = '/': is a folder",
        "--det = '/no/where': needs long recordings",
        "--det = '/no/where': cannot be written",
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("streaming: [1]", "streaming = [1]: must be a section"),
        ("streaming: {buffer_length_ms: 1000}", "streaming.buffer_length_ms = 1000: students hear 1500 ms"),
    ],
)
def test_a_section_that_no_student_fits_is_refused(
    text: str, told: str, weights: Path, clips: Path, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(text)
    done = run("evaluate", str(weights), "--data", str(clips), "--streaming", str(tmp_path / "config.yaml"))
    assert_refused(done, told)


def test_a_folder_of_recordings_without_audio_is_refused_with_faults_of_the_clips(
    weights: Path, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    done = run("evaluate", str(weights), "--data", str(tmp_path / "empty"), "--stream", str(tmp_path / "empty"))
    assert_refused(done, "--data: holds no clips", "--stream: holds no WAV", shown="")


def test_nothing_false_writes_nothing(weights: Path, clips: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "hours").mkdir()
    soundfile.write(tmp_path / "hours" / "quiet.wav", np.random.default_rng(0).normal(scale=0.01, size=80_000), 16_000)
    words = ("--data", str(clips), "--stream", str(tmp_path / "hours"), "--clean", "--threshold", "0.9")
    shown = run("evaluate", str(weights), *words, "--hard-negatives", str(tmp_path / "more")).shown
    assert "no false accepts, so no hard negatives" in shown and not (tmp_path / "more").exists()


def test_hard_negatives_that_a_manifest_hides_are_told_of(
    weights: Path, clips: Path, record, run: Run, tmp_path: Path
) -> None:
    record("kitchen.wav", 10.0, (5.0,))
    manifest = tmp_path / "more" / "manifest.csv"
    manifest.parent.mkdir()
    manifest.write_text("path,label\n")
    words = ("--data", str(clips), "--stream", str(tmp_path / "hours"), "--clean", "--threshold", "0.6")
    for folder in (manifest.parent, manifest.parent / "train"):
        shown = run("evaluate", str(weights), *words, "--hard-negatives", str(folder)).shown
        assert f"a sweep reads what {manifest} names" in shown
