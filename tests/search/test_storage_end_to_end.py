"""A sweep on nodes that share nothing but a bucket, killed in it and gone on with in another home."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from search.home import Home, SweepFolder, open_home
from search.screen.steps import silent_steps
from search.sweep import Sweep
from spaces.errors import InputError
from tests.search.apart import nodes_apart
from tests.search.conftest import synthesise_few
from tests.search.sweeps import Complete, Running, journal_of, kill_when, start
from tests.trainables.recipes import contents
from tests.trainables.storage.buckets import BUCKET, put_folder, served
from trainables.corpus import build
from trainables.storage.cache import FETCHED
from trainables.storage.path import StoragePath

pytestmark = pytest.mark.slow

EPOCHS = 12
STORAGE = StoragePath(f"{BUCKET}/distune")
SWEEP = f"""
name: apart
data:
  path: {BUCKET}/clips
  views: {{count: 2, noise: ["{BUCKET}/clips/train/negative"]}}
teacher: {{allow_weak: true}}
students: [tiny_conv]
budget: {{trials: 2, epochs: {EPOCHS}}}
early_stopping: {{scheduler: none}}
confirm: {{top: 1, seeds: 1, learning_rates: 1}}
resources: {{checkpoint_epochs: 2, storage: "{STORAGE}"}}
"""


@dataclass(frozen=True)
class Place:
    """A cluster, the driver's folder that no node sees, and the nodes' own caches."""

    address: str
    driver: Path
    caches: list[Path]

    def sweep(self, home: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Home]:
        """The sweep file, and the home that it is to run in."""
        monkeypatch.setenv("DISTUNE_HOME", str(self.driver / home))
        file = self.driver / "apart.yaml"
        file.write_text(f"{SWEEP.strip()[:-1]}, address: '{self.address}'}}\n")
        return file, open_home()


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("apart")
    driver, caches = folder / "driver", [folder / "node1", folder / "node2"]
    synthesise_few(driver / "clips")
    with pytest.MonkeyPatch.context() as patch, served(folder):
        patch.setenv("RAY_AUTH_MODE", "disabled")
        put_folder(driver / "clips", f"{BUCKET}/clips")
        with nodes_apart(driver, caches) as address:
            yield Place(address, driver, caches)


def within_a_trial(folder: SweepFolder) -> bool:
    """Whether a trial at work has a checkpoint."""
    trials = journal_of(folder).get("tiny_conv", [])
    return any(trial.state == Running and "checkpoint" in trial.user_attrs for trial in trials)


def own(folder: Path) -> dict[str, str]:
    return {name: digest for name, digest in contents(folder).items() if name != FETCHED}


def test_a_sweep_over_a_bucket_is_killed_and_goes_on_in_another_home(place, monkeypatch):
    file, first = place.sweep("first", monkeypatch)
    kill_when(lambda: within_a_trial(first.sweep("apart")), start(file))

    file, second = place.sweep("second", monkeypatch)
    shutil.copytree(first.sweep("apart").path, second.sweep("apart").path)
    # Neither corpus nor clips: what is there is fetched, and no teacher runs.
    monkeypatch.setattr(build, "_fill", lambda *_: pytest.fail("the teacher ran again"))
    results = Sweep.load(file).run(silent_steps)
    folder = second.sweep("apart")
    trials = journal_of(folder)["tiny_conv"]

    assert [trial.state for trial in trials] == [Complete] * 2 and results.n_missing == 0
    assert all(sorted(trial.intermediate_values) == list(range(1, EPOCHS + 1)) for trial in trials)
    starts = re.findall(r"tiny_conv (\d): starts after epoch (\d+)", folder.log.read_text().split("confirming")[0])
    assert max(int(epoch) for _, epoch in starts) > 0, "it went on from the bucket"
    for trial in trials:
        kept = StoragePath(trial.user_attrs["checkpoint"])
        assert str(kept).startswith(f"{STORAGE}/sweeps/apart/ray/")
        assert {name.split("/")[0] for name in kept.parent.files() if name.startswith("checkpoint")} == {kept.name}

    # Each node has one copy of the corpus and of the clips, and nothing was left half.
    for cache in place.caches:
        (corpus,) = [path for path in (cache / "corpora").iterdir() if path.is_dir()]
        assert own(corpus) == own(second.corpora / corpus.name)
        assert len([path for path in cache.glob("data/*") if path.is_dir()]) in (0, 2)  # clips and noise, if it taught
    assert {name.split("/")[0] for name in STORAGE.at("corpora").files()} == {corpus.name}

    # What was confirmed is kept on the head, out of checkpoints in the bucket.
    confirmed = sorted(folder.confirmed.iterdir())
    assert (
        confirmed and results.n_unconfirmed == 0 and all((run / "student.safetensors").is_file() for run in confirmed)
    )


def test_nodes_that_do_not_see_the_home_are_refused_before_any_trial(place, monkeypatch):
    file, home = place.sweep("second", monkeypatch)
    sweep = Sweep.load(file).changed({"name": "blind", "resources.storage": None})
    with pytest.raises(InputError) as refused:
        sweep.run(silent_steps)
    remedy = r"is not on the node .*DISTUNE_HOME to a folder that all nodes share .*, or name a bucket .*"
    assert len(refused.value.faults) == 2 and all(re.search(remedy, str(fault)) for fault in refused.value.faults)
    assert journal_of(home.sweep("blind"))["tiny_conv"] == []


def test_a_folder_that_is_another_on_each_node_is_refused_as_storage(place, monkeypatch):
    file, home = place.sweep("second", monkeypatch)
    sweep = Sweep.load(file).changed({"name": "blind-too", "resources.storage": str(place.driver / "storage")})
    with pytest.raises(InputError) as refused:
        sweep.run(silent_steps)
    told = r"resources\.storage: cannot be used by the node .*: .*/driver/storage is another folder there"
    assert len(refused.value.faults) == 2 and all(re.search(told, str(fault)) for fault in refused.value.faults)
    assert journal_of(home.sweep("blind-too"))["tiny_conv"] == []
