"""A model that knows a tone of 2 kHz from all else, clips of both, and recordings made of them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from spaces.trial import TrialConfig
from tests.trainables.audio.conftest import enable
from tests.trainables.recipes import write_tone
from tests.trainables.stream.sounds import RATE, tone
from trainables.audio.frontend import LogMel, conform
from trainables.students import Student, build_student

__all__ = ["RATE", "enable", "tone"]

WORD_HERTZ, OTHER_HERTZ = 2000, 400


@pytest.fixture(scope="session")
def student() -> Student:
    """A tiny_conv of a few channels, trained for a second: the wake word is half a second of the high tone."""
    torch.manual_seed(0)
    model = TrialConfig.from_flat({"model.tcn_num_channels": [4, 8, 8]}).model
    student = build_student(model)
    front_end, generator = LogMel(), np.random.default_rng(0)
    optimizer = torch.optim.Adam(student.parameters(), 1e-2)
    for _ in range(80):
        labels = torch.arange(16) % 2
        clips = np.stack([conform(_example(int(label), generator), RATE) for label in labels])
        loss = torch.nn.functional.cross_entropy(student(front_end(torch.from_numpy(clips))), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return student.eval()


def _example(label: int, generator: np.random.Generator) -> np.ndarray:
    """1.5 s with half a second of a tone somewhere; noise alone now and then."""
    scene = generator.normal(scale=generator.choice([0, 0.01]), size=24_000)
    if label or generator.random() < 0.7:
        start, length = generator.integers(0, 8_000), generator.choice([8_000, 16_000])
        hertz = WORD_HERTZ if label else generator.choice([OTHER_HERTZ, 800, 5000])
        scene[start : start + length] += tone(hertz, length / RATE, int(generator.integers(1000)))
    return scene.astype(np.float32)


@pytest.fixture
def weights(tmp_path: Path, student: Student) -> Path:
    """The folder of a confirmed run."""
    folder = tmp_path / "tiny_conv-000"
    folder.mkdir()
    trial = TrialConfig.from_flat({"model.tcn_num_channels": [4, 8, 8]}).flat()
    save_file(student.state_dict(), folder / "student.safetensors", metadata={"trial": json.dumps(trial)})
    return folder


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Test clips of a second by three speakers, and as many others; no other split."""
    for index in range(12):
        for name, hertz in (("positive", WORD_HERTZ), ("negative", OTHER_HERTZ)):
            path = tmp_path / "clips" / "test" / name / f"s{index % 3}_nohash_{index}.wav"
            write_tone(path, hertz, index)
    return tmp_path / "clips"


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Path]:
    """Writes a recording under ``tmp_path/hours``: quiet noise, with half a second of the high tone at each moment."""

    def write(name: str, seconds: float, moments: tuple[float, ...] = ()) -> Path:
        samples = np.random.default_rng(len(name)).normal(scale=0.01, size=int(seconds * RATE)).astype(np.float32)
        for moment in moments:
            start = int(moment * RATE)
            samples[start : start + 8000] += tone(WORD_HERTZ, 0.5)
        path = tmp_path / "hours" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, RATE)
        return path

    return write
