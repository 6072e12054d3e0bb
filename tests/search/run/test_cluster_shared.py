"""Trials on several nodes with GPUs of two types, and two sweeps at once: real nodes of a Ray cluster, real drivers."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import tune
from ray.cluster_utils import Cluster
from ray.tune.result import SHOULD_CHECKPOINT

from search.home import Home, SweepFolder, open_home
from search.record.at_work import trials_at_work
from search.record.states import TrialState
from search.record.sweep import SweepRecord
from search.run.sharing import CLAIM
from search.run.starting import started
from tests.search.conftest import RecordedSweep
from tests.search.scripted import searched
from tests.search.sweeps import journal_of

pytestmark = pytest.mark.slow

STUDENT, EPOCHS = "tiny_conv", 9
CLAIMED, SHARED = "second-wants-its-part", "each-has-its-part"
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head that trains nothing, and two nodes for two trials each, with one GPU and with two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        head = {"num_cpus": 0, "include_dashboard": False}
        found = started(lambda: Cluster(initialize_head=True, head_node_args=head))
        for gpu_type, n_gpus in (("A100", 1), ("T4", 2)):
            has = {"num_cpus": 2, "num_gpus": n_gpus, "resources": {f"accelerator_type:{gpu_type}": 1}}
            started(partial(found.add_node, **has))
        yield found
        found.shutdown()


@pytest.fixture
def joined(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Node to the type of its GPUs."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    ray.init(cluster.address, log_to_driver=False)
    # What the driver before held is given back some time after it has left.
    wait_until(lambda: ray.available_resources().get("CPU") == ray.cluster_resources()["CPU"])
    names = {node["NodeID"]: "".join(node["Resources"]) for node in ray.nodes()}
    yield {node: next((kind for kind in ("A100", "T4") if kind in name), "") for node, name in names.items()}
    ray.shutdown()


def sleeping(seen: Path, epoch_seconds: float, goes_on: Callable[[int], bool]) -> type[tune.Trainable]:
    """Trials that only say where they run, in a file too; after each epoch they wait until it ``goes_on``.

    In the file with their first epoch, and not as they are set up: Tune may give a trial a worker that has become idle,
    and stop the one that it had asked for, which is set up nevertheless.
    """

    class Sleeping(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            node = ray.get_runtime_context().get_node_id()
            self.epoch, self.of_the_start = 0, {"node": node, "gpus": ray.get_gpu_ids()}
            if config["resume_from"]:
                self.load_checkpoint(config["resume_from"])
            self.number, self.share = config["number"], config["resources"]["gpu"]

        def step(self) -> dict[str, Any]:
            if self.of_the_start:
                with seen.open("a") as file:
                    file.write(f"{self.number} {self.epoch} {self.of_the_start['node']} {self.share:g}\n")
            time.sleep(epoch_seconds)
            while not goes_on(self.epoch):
                time.sleep(0.1)
            self.epoch += 1
            told, self.of_the_start = self.of_the_start, {}
            metrics = {"epoch": self.epoch, "val_pauc": 0.5, "val_f1": 0.5, "done": self.epoch == EPOCHS}
            return metrics | told | {SHOULD_CHECKPOINT: self.epoch == EPOCHS}

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            (Path(checkpoint_dir) / "epoch").write_text(str(self.epoch))

        def load_checkpoint(self, checkpoint_dir: str) -> None:
            self.epoch = int((Path(checkpoint_dir) / "epoch").read_text())

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.setup(new_config)
            return True

    return Sleeping


@pytest.fixture
def starts(tmp_path: Path) -> Callable[[], list[list[str]]]:
    """Of every trial: number, epoch that it goes on after, node, share of a GPU."""
    return lambda: [line.split() for line in (tmp_path / "seen").read_text().splitlines()]


def run(
    name: str, tmp_path: Path, home: Home, epoch_seconds: float, awaited: Mapping[int, Path | int], **changes: Any
) -> SweepRecord:
    """A sweep whose trials wait, after the epochs of ``awaited``, for a file, or for so many of them to have started.

    For a trial that ends before the last has started leaves it a worker, wherever that is.
    """
    recorded = RecordedSweep(home.sweep(name), students=(STUDENT,))
    seen = tmp_path / ("seen" if name == "first" else f"seen-{name}")

    def goes_on(epoch: int) -> bool:
        due = awaited.get(epoch, 0)
        return due.exists() if isinstance(due, Path) else len(seen.read_text().splitlines()) >= due

    with pytest.MonkeyPatch.context() as patch, recorded.folder.claimed():
        patch.setattr("search.run.tuning.DistillTrainable", sleeping(seen, epoch_seconds, goes_on))
        return searched(recorded, home, name=name, early_stopping__scheduler="none", **changes)


def test_each_type_of_gpu_has_its_own_share(joined, home, tmp_path, starts):
    shares = {"A100": 0.5, "T4": 1.0}
    record = run(
        "first", tmp_path, home, 0.05, awaited={2: 4},
        budget__trials=4, resources__gpus_per_trial=None, resources__gpu_types=shares,
    )  # fmt: skip
    assert all(TrialState.of_optuna(trial.state) is TrialState.FINISHED for trial in record.trials(STUDENT))
    found = Counter((joined[node], float(share)) for _, _, node, share in starts())
    assert found == {("A100", 0.5): 2, ("T4", 1.0): 2}
    assert not list(trials_at_work(record.studies, "search")), "all have left"


@pytest.mark.parametrize(("placement", "n_nodes"), [("pack", 1), ("spread", 2)])
def test_trials_are_packed_on_few_nodes_or_spread(joined, home, tmp_path, starts, placement, n_nodes):
    settings = {"gpus_per_trial": 0, "placement": placement, "max_concurrent_trials": 2}
    changes = {f"resources__{key}": value for key, value in settings.items()}
    run("first", tmp_path, home, 0.05, awaited={2: 2}, budget__trials=2, **changes)
    assert len({node for _, _, node, _ in starts()}) == n_nodes


def test_sweeps_share_a_cluster_by_priority_and_end_as_if_alone(cluster, home, tmp_path, starts, monkeypatch):
    """The first has four trials at work, then one beside the second's three, and goes on where it gave way."""
    monkeypatch.syspath_prepend(Path(__file__).parents[3])  # where the drivers find this file
    first = SPAWN.Process(target=drive, args=("first", cluster.address, tmp_path, home.root, 6, 1))
    second = SPAWN.Process(target=drive, args=("second", cluster.address, tmp_path, home.root, 3, 3))
    first.start()
    wait_until(lambda: first.is_alive() and (tmp_path / "seen").exists() and len(starts()) == 4)
    second.start()
    wait_until((home.sweep("second").path / CLAIM).exists)
    (tmp_path / CLAIMED).touch()
    at_work: dict[str, int] = {}

    def shared() -> bool:
        at_work.update({name: n_at_work(home.sweep(name)) for name in ("first", "second")})
        return at_work == {"first": 1, "second": 3}

    wait_until(shared)
    (tmp_path / SHARED).touch()
    for driver in (first, second):
        driver.join()
        assert driver.exitcode == 0
    for name, n_trials in (("first", 6), ("second", 3)):
        trials = journal_of(home.sweep(name))[STUDENT]
        assert [TrialState.of_optuna(trial.state) for trial in trials] == [TrialState.FINISHED] * n_trials
        assert [sorted(trial.intermediate_values) for trial in trials] == [list(range(1, EPOCHS + 1))] * n_trials
        assert not (home.sweep(name).path / CLAIM).exists()
    epochs: dict[str, list[int]] = {}
    for number, epoch, *_ in starts():
        epochs.setdefault(number, []).append(int(epoch))
    assert all(each == sorted(set(each)) for each in epochs.values()), epochs
    assert any(map(any, epochs.values())), "who gave way went on from a checkpoint"


def drive(name: str, address: str, tmp_path: Path, root: Path, n_trials: int, priority: int) -> None:
    """The driver of a sweep, in a process of its own."""
    ray.init(address, log_to_driver=False)
    settings = {"gpus_per_trial": 0, "priority": priority}
    changes = {f"resources__{key}": value for key, value in settings.items()}
    home = open_home(root)
    # Drivers look for claims every other second: first's trials give way after an epoch of 3 to 5, of a second each.
    awaited = {2: tmp_path / CLAIMED, 7: tmp_path / SHARED} if name == "first" else {2: tmp_path / SHARED}
    run(name, tmp_path, home, 1.0, awaited, budget__trials=n_trials, **changes)


def n_at_work(folder: SweepFolder) -> int:
    return sum(bool(trial.user_attrs.get("where")) for trial in journal_of(folder).get(STUDENT, []))


def wait_until(holds: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)
