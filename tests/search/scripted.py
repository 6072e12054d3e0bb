"""Trials that end as they are told to, run by real workers under Ray and recorded as any others."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from ray import tune
from ray.tune.result import SHOULD_CHECKPOINT

from search.home import Home
from search.record.sweep import SweepRecord
from search.run.profile import Profile
from search.run.tuning import run_trials
from search.tracking.tracker import Tracker
from tests.search.conftest import SPACE, RecordedSweep
from trainables.corpus.store import MANIFEST


def scripted(
    ends: tuple[str, ...], died: Path, epoch_seconds: float = 0.0, goes_on: Callable[[int, int], bool] | None = None
) -> type[tune.Trainable]:
    """Trials that end by their number; a class of its own, so that it pickles whole.

    Args:
        goes_on: whether a trial, by its number, may go on after an epoch; until then it waits. What is to happen to
            trials at work must not find one over before another's worker is up.
    """

    class Scripted(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self.epoch, self.number, self.end = 0, config["number"], ends[config["number"]]
            if self.end == "raises in setup":
                raise ValueError("the corpus is not there")
            self.gpu = config["resources"]["gpu"]
            if self.end == "no room in setup" and self.gpu < 0.5:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            if config["resume_from"]:
                self.load_checkpoint(config["resume_from"])

        def step(self) -> dict[str, Any]:
            time.sleep(epoch_seconds)
            while goes_on and not goes_on(self.number, self.epoch):
                time.sleep(0.1)
            self.epoch += 1
            if self.epoch == 2 and self.end == "raises":
                raise ValueError("no such clip")
            if self.epoch == 2 and (self.end == "never room" or (self.end == "no room" and self.gpu < 1)):
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            if self.epoch == 2 and (self.end == "dies" or (self.end == "dies once" and not died.exists())):
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            done = self.epoch == (2 if self.end == "patience" else 9)
            value = 0.1 if self.end == "stopped" else 0.5
            return {"epoch": self.epoch, "val_pauc": value, "val_f1": 0.5, "done": done, SHOULD_CHECKPOINT: True}

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            torch.save(self.epoch, f"{checkpoint_dir}/epoch.pt")

        def load_checkpoint(self, checkpoint_dir: str) -> None:
            self.epoch = torch.load(f"{checkpoint_dir}/epoch.pt")

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.setup(new_config)
            return True

    return Scripted


def searched(recorded: RecordedSweep, home: Home, **changes: Any) -> SweepRecord:
    """The record after one run of the sweep's trials."""
    keys = {name.replace("__", "."): value for name, value in changes.items()}
    # Without warm-up the first rung may be the first epoch.
    space = SPACE.holding({"optimizer.warmup_epochs": 0})
    record = recorded.open({"resources.gpus_per_trial": 0.25, **keys}, space)
    corpus = recorded.folder.path / "corpus"
    corpus.mkdir(exist_ok=True)
    (corpus / MANIFEST).touch()  # all that is looked for before trials that read none
    shared: Any = SimpleNamespace(
        corpus=corpus,
        read_from=str(corpus),
        stream=None,
        teacher=SimpleNamespace(head_fingerprint=""),
        spaces=record.spaces,
        n_layers=record.n_layers,
    )
    with Tracker.open(home.tracking_uri, record.sweep.name, home.artifacts, recorded.folder.spool) as tracker:
        run_trials(record, shared, tracker, recorded.folder, Profile())
    return record
