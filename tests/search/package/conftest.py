"""A confirmed sweep whose student was really trained, on a few synthesised clips."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from search.home import SweepFolder, open_home
from search.package.clips import ClipSet
from search.record.results import SweepResults
from spaces.trial import TrialConfig
from tests.search.conftest import synthesise_few
from tests.search.filled import FACTS, SHORT, fill
from trainables.audio.check import LoadedClips, load_clips
from trainables.build import seeded_student
from trainables.corpus.recipe import clips_fingerprint
from trainables.students import Student

N_STEPS = 40


def trained(config: TrialConfig, clips: LoadedClips) -> Student:
    """A student after a few steps on the training clips."""
    split = ClipSet.read(clips.of("train"))
    mel, labels = torch.from_numpy(split.log_mel()), torch.from_numpy(split.labels)
    student, drawn = seeded_student(config).train(), np.random.default_rng(0)
    optimizer = torch.optim.Adam(student.parameters(), 3e-3)
    for _ in range(N_STEPS):
        batch = drawn.choice(len(labels), size=24, replace=False)
        loss = torch.nn.functional.cross_entropy(student(mel[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return student.eval()


@pytest.fixture(scope="package")
def home_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the sweep ``hey-sirius``: tiny_conv is confirmed, and its winner's run kept."""
    place = tmp_path_factory.mktemp("package")
    synthesise_few(place / "clips")
    home = open_home(place / "home")
    folder = home.sweep("hey-sirius")
    fill(folder, SHORT | {"data.path": str(place / "clips")}, ("tiny_conv",))
    results = SweepResults.read(folder)
    clips = load_clips(results.sweep.data)
    facts = FACTS | {"clips": {"fingerprint": clips_fingerprint(clips), "counts": {}}}
    folder.write(results.sweep, facts)
    found = results.confirmed["tiny_conv"]
    winner = found.winner
    assert winner is not None
    kept = folder.confirmed_run("tiny_conv", winner.numbers[found.best_seed(winner)])
    kept.mkdir(parents=True)
    save_file(trained(winner.config, clips).state_dict(), kept / "student.safetensors")
    return home.root


@pytest.fixture(scope="package")
def sweep_folder(home_folder: Path) -> SweepFolder:
    return open_home(home_folder).sweep("hey-sirius")
