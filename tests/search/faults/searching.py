"""Real trials on a corpus in miniature, slow enough for something to happen to them, and what is to be true afterwards.

Workers keep a ledger of their own: a line of every start, epoch and checkpoint, whatever the driver hears of it.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from search.home import Home, SweepFolder
from search.log import logged_to
from search.record.states import TrialState
from search.record.sweep import SweepRecord
from search.run.profile import Profile
from search.run.tuning import run_trials
from search.tracking.tracker import Tracker
from tests.search.conftest import SPACE, RecordedSweep, Records
from tests.search.sweeps import journal_of
from trainables import distill

STUDENT = "tiny_conv"
PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class Ledger:
    """What workers noted themselves, in order: (what, trial, epoch), what being start, epoch or saved.

    A trial starts with its first epoch: Tune may give it a worker that has become idle, and stop the one that it had
    asked for, which is set up nevertheless and trains nothing.
    """

    file: Path

    def lines(self) -> list[tuple[str, int, int]]:
        if not self.file.exists():
            return []
        words = (line.split() for line in self.file.read_text().splitlines())
        return [(what, int(number), int(epoch)) for what, number, epoch in words]

    def count(self, what: str) -> int:
        return sum(told == what for told, *_ in self.lines())

    @property
    def repeated(self) -> int:
        """Epochs that were finished and then trained again."""
        return sum(times - 1 for times in Counter(line for line in self.lines() if line[0] == "epoch").values())

    def assert_no_checkpoint_was_passed_over(self) -> None:
        """A trial goes on from its last checkpoint, or from the one before if its worker died before it could tell."""
        saved: dict[int, set[int]] = {}
        for what, number, epoch in self.lines():
            known = saved.setdefault(number, {0})
            if what == "saved":
                known.add(epoch)
            elif what == "start":
                assert epoch >= sorted(known)[-2:][0], f"trial {number} went back to epoch {epoch}"


def slow_trials(
    ledger: Ledger, epoch_seconds: float, patience_seconds: float, awaits: Mapping[int, Path]
) -> type[distill.DistillTrainable]:
    """Trials as they are, but slow and with a ledger; a class of its own, so that it pickles whole."""
    file = str(ledger.file)

    class Slow(distill.DistillTrainable):
        def setup(self, config: dict[str, Any]) -> None:
            distill.PATIENCE_SECONDS = patience_seconds
            self.number = config["number"]
            super().setup(config)

        def step(self) -> dict[str, Any]:
            if self.of_the_start:
                self.tell("start", self.run.epoch)
            threading.Event().wait(epoch_seconds)  # not time.sleep, which fails where libfaketime sets the clock
            while (awaited := awaits.get(self.run.epoch)) and not awaited.exists():
                time.sleep(0.1)
            result = super().step()
            self.tell("epoch", result["epoch"])
            return result

        def save(self, checkpoint_dir: str | None = None) -> Any:
            made = super().save(checkpoint_dir)
            if made.checkpoint:
                self.tell("saved", self.run.epoch)
            return made

        def tell(self, what: str, epoch: int) -> None:
            with open(file, "a") as lines:
                lines.write(f"{what} {self.number} {epoch}\n")

    return Slow


@dataclass(frozen=True)
class Searching:
    """A sweep of real trials: its folder, distune's home, what the workers noted.

    Args:
        awaits: epoch to the file that each trial waits for after it. What is to happen to trials at work happens before
            the file is there: else one may be over, and leave its worker to another, before that one's own is up.
    """

    folder: SweepFolder
    home: Home
    corpus: Path
    head: str
    ledger: Ledger
    n_trials: int = 2
    n_epochs: int = 9
    epoch_seconds: float = 0.5
    patience_seconds: float = 60.0
    awaits: Mapping[int, Path] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)

    def run(self, monkeypatch: Any) -> SweepRecord:
        """Bring the sweep to its end on the Ray that runs."""
        slow = slow_trials(self.ledger, self.epoch_seconds, self.patience_seconds, self.awaits)
        monkeypatch.setattr("search.run.tuning.DistillTrainable", slow)
        space = SPACE.holding({"optimizer.warmup_epochs": 0})
        own = {"resources.gpus_per_trial": 0, "early_stopping.scheduler": "none", "resources.checkpoint_epochs": 1}
        budget = {"budget.trials": self.n_trials, "budget.epochs": self.n_epochs}
        record = RecordedSweep(self.folder, (STUDENT,)).open({**own, **budget, **self.changes}, space)
        shared: Any = SimpleNamespace(
            corpus=self.corpus,
            read_from=str(self.corpus),
            stream=None,
            teacher=SimpleNamespace(head_fingerprint=self.head),
            spaces=record.spaces,
            n_layers=record.n_layers,
        )
        with (
            logged_to(self.folder.log),
            Tracker.open(self.home.tracking_uri, "first", self.home.artifacts, self.folder.spool) as tracker,
        ):
            run_trials(record, shared, tracker, self.folder, Profile())
        return record

    @property
    def n_reports(self) -> int:
        """Epochs that are recorded, read as another program does."""
        return sum(len(trial.intermediate_values) for trial in journal_of(self.folder).get(STUDENT, []))

    @property
    def n_checkpoints(self) -> int:
        """Trials with a checkpoint that is recorded."""
        return sum("checkpoint" in trial.user_attrs for trial in journal_of(self.folder).get(STUDENT, []))

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.1)

    def goes_on(self) -> None:
        """Wait until more epochs are recorded."""
        before = self.n_reports
        self.until(lambda: self.n_reports > before)

    def assert_whole(self, record: SweepRecord, most_repeated: int) -> None:
        """Every trial ran to its end, every epoch is recorded once, and MLflow has the same."""
        trials = record.trials(STUDENT)
        assert [TrialState.of_optuna(trial.state) for trial in trials] == [TrialState.FINISHED] * self.n_trials
        epochs = list(range(1, self.n_epochs + 1))
        assert [sorted(trial.intermediate_values) for trial in trials] == [epochs] * self.n_trials
        records = Records(self.home.tracking_uri)
        for trial in trials:
            name = f"{STUDENT}-{trial.number:03d}"
            assert records.runs()[name].info.status == "FINISHED"
            points = dict(records.history(name, "val_pauc"))
            assert points == trial.intermediate_values
        assert self.ledger.repeated <= most_repeated
        self.ledger.assert_no_checkpoint_was_passed_over()


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Do ``work`` on another thread during the block; what it raises fails the test."""
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    yield
    thread.join()
    if raised:
        raise raised[0]
