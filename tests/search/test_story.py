"""The whole story, as examples/story.sh has it: from clips and hours to a student that ships, and to the next sweep."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from search.home import open_home
from search.record.results import SweepResults
from tests.search.conftest import synthesise_few
from tests.search.platform import read_strictly
from tests.trainables.audio.conftest import enable
from trainables.audio.folders import audio_files
from trainables.stream.recordings import find_recordings
from trainables.teachers.load import SHIPPED

__all__ = ["enable"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not SHIPPED.is_dir(), reason="the teacher that ships is not in this checkout"),
]

SCRIPT = Path(__file__).parents[2] / "examples" / "story.sh"
# Little of everything; a teacher of so few clips need not be good.
SMALL = (
    "budget.trials=2", "budget.epochs=4", "early_stopping.grace_epochs=2", "objective.stream_epochs=2",
    "confirm.top=1", "confirm.seeds=2", "confirm.learning_rates=1", "data.views.count=2", "teacher.allow_weak=true",
)  # fmt: skip
N_CLIPS = {"positive": 24, "hard_negative": 24, "negative": 24}


def tell(folder: Path, data: Path, hours: Path) -> Path:
    """Run the story in processes as a user's, with a home of its own; returns its folder."""
    environment = os.environ | {
        "DISTUNE_HOME": str(folder / "home"),
        "RAY_AUTH_MODE": "disabled",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    changes = [argument for change in SMALL for argument in ("--set", change)]
    command = [str(SCRIPT), str(data), str(hours), str(folder / "out"), *changes]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    (folder / "out" / "told.txt").write_text(done.stdout)
    return folder / "out"


@pytest.fixture(scope="module")
def recorded(enable, tmp_path_factory) -> tuple[Path, Path]:
    """Some of the recorded clips by class and split, and the recordings, one half for each split."""
    folder = tmp_path_factory.mktemp("recorded")
    left = {(split, label): n for split in ("train", "val", "test") for label, n in N_CLIPS.items()}
    with (enable / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] in ("positive", "negative")]
    # From all over the table, which is sorted by speaker.
    for row in np.random.default_rng(0).permutation(np.array(rows, dtype=object)):
        label = "hard_negative" if row["hard"] == "1" else row["label"]
        if left[row["split"], label]:
            left[row["split"], label] -= 1
            target = folder / "data" / row["split"] / label
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(enable / row["path"], target)
    for index, path in enumerate(audio_files(enable / "stream")):
        target = folder / "hours" / ("val", "test")[index % 2]
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return folder / "data", folder / "hours"


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> tuple[Path, Path]:
    """A user's own folder, synthesised, and hours joined of its own negatives with pauses between, over and over."""
    folder = tmp_path_factory.mktemp("own")
    synthesise_few(folder / "data")
    for split in ("val", "test"):
        clips = [soundfile.read(path) for path in audio_files(folder / "data" / split / "negative")]
        rate = clips[0][1]
        joined = np.concatenate([part for samples, _ in clips for part in (samples, np.zeros(rate // 3))])
        (folder / "hours" / split).mkdir(parents=True)
        soundfile.write(folder / "hours" / split / "talk.flac", np.resize(joined, 130 * rate), rate)
    return folder / "data", folder / "hours"


@pytest.mark.parametrize("whose", ["recorded", "own"])
def test_the_story_runs_from_clips_to_a_student_that_ships_and_into_the_next_sweep(whose, request, tmp_path):
    data, hours = request.getfixturevalue(whose)
    out = tell(tmp_path, data, hours)
    results = SweepResults.read(open_home(tmp_path / "home").sweep("story"))
    best = results.to_export("tiny_conv")
    assert best.confirmation.winner is not None and len(best.confirmation.seeds) == 2
    assert 0 <= best.metrics["val_stream_frr_at_fah"] <= 1 and best.objective == best.metrics["val_stream_frr_at_fah"]

    text = (out / "best.yaml").read_text()
    exported, section = read_strictly(text), yaml.safe_load(text)["distune"]
    on_stream = section["operating_threshold"]["on_stream"]
    assert exported["streaming"]["hysteresis_high"] == min(on_stream["threshold"], 1.0)
    assert exported["streaming"]["hysteresis_low"] == on_stream["release"] <= exported["streaming"]["hysteresis_high"]
    assert {"mean", "sd", "n"} == set(section["confirmed"]["val_stream_frr_at_fah"])
    assert "tiny_conv" in (out / "report.html").read_text() and (out / "det.html").is_file()

    package = json.loads((out / "package" / "package.json").read_text())
    assert package["seed"] == best.config.seed and package["latency"]["log_mel.int8.onnx"]["median_ms"] > 0
    evaluation = json.loads((out / "evaluation.json").read_text())
    assert evaluation["threshold"] == package["threshold"]
    seconds = sum(recording.seconds for recording in find_recordings(hours / "test"))
    assert evaluation["hours"] == pytest.approx(seconds / 3600)
    assert [outcome["condition"] for outcome in evaluation["outcomes"]][:2] == ["as recorded", "noise at 20 dB"]

    written = re.search(r"(\d+) false accepts written to", (out / "told.txt").read_text())
    n_mined = n_hard(out / "data") - n_hard(data)
    assert n_mined == (int(written[1]) if written else 0)
    second = SweepResults.read(open_home(tmp_path / "home").sweep("story-2"))
    counts = [each.facts["clips"]["counts"]["train"]["hard_negative"] for each in (results, second)]
    assert counts[1] - counts[0] == n_mined
    assert second.best("tiny_conv") is not None and second.sweep.search.warm_start == ("story",)


def n_hard(data: Path) -> int:
    return len(list((data / "train" / "hard_negative").glob("*.flac")))
