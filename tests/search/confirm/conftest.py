"""A sweep's record with a finished search, and its confirmation opened as each process opens it."""

from collections.abc import Callable
from typing import Any

import pytest

from search.confirm.record import ConfirmRecord
from search.home import SweepFolder
from search.record.results import SweepResults
from search.record.states import TrialState
from search.record.sweep import SweepRecord
from search.record.trials import Proposal
from spaces.space import Space
from tests.search.conftest import SPACE, RecordedSweep

FACTS = {"corpus": "corpora/1", "head": "head", "teachers": {}, "teacher_metrics": {"val": {"pauc": 0.9, "f1": 0.8}}}
CONFIRM = {"confirm.top": 1, "confirm.seeds": 2, "confirm.learning_rates": 2}


class Searched:
    """The sweep ``first`` of tiny_conv, three trials.

    Trial 0 is without distillation, at a learning rate of 1e-3, and worth 0.5; trial 1 has logits, at 2e-3, and is
    worth 0.8; trial 2 was pruned.
    """

    def __init__(self, sweep: RecordedSweep, end_trial: Callable[..., Proposal]) -> None:
        self._sweep, self._end_trial = sweep, end_trial
        self.folder: SweepFolder = sweep.folder
        record = sweep.open()
        end_trial(record, "tiny_conv", [0.5])
        config = record.spaces["tiny_conv"].fixed | {"distillation.alpha": 0.7, "training.learning_rate": 2e-3}
        trial_config = record.sweep.trial_config("tiny_conv", config, number=1)
        end_trial(record, "tiny_conv", [0.8], notes={"config": trial_config.flat()})
        end_trial(record, "tiny_conv", [0.9], TrialState.PRUNED)
        self._read(record)

    def _read(self, record: SweepRecord) -> None:
        self.folder.write(record.sweep, FACTS)
        results = SweepResults.read(self.folder)
        self.trials, self.finished = results.trials, {"tiny_conv": results.finished("tiny_conv")}

    def extend(self, objective: float) -> None:
        """One trial more, with logits too."""
        record = self._sweep.open({"budget.trials": 4})
        config = self.trials["tiny_conv"][1].user_attrs["config"] | {"optimizer.weight_decay": 0.05}
        self._end_trial(record, "tiny_conv", [objective], notes={"config": config})
        self._read(record)

    def open(self, changes: dict[str, Any] | None = None, space: Space = SPACE) -> ConfirmRecord:
        """What is confirmed of it: one candidate on two seeds, two learning rates a baseline, ``changes`` laid over."""
        sweep = self._sweep.open().sweep.overlaid(CONFIRM | (changes or {}))
        self.folder.write(sweep, FACTS)
        return ConfirmRecord(sweep, self.folder.journal, self.finished, {"tiny_conv": space})


@pytest.fixture
def searched(tmp_path, end_trial) -> Searched:
    return Searched(RecordedSweep(SweepFolder(tmp_path / "first"), ("tiny_conv",)), end_trial)


@pytest.fixture
def end_run() -> Callable[..., None]:
    """End a run as the recorder would see it: its objective, test metrics where it reads that split, a checkpoint."""

    def run(record: ConfirmRecord, proposal: Proposal, value: float = 0.5, state: Any = TrialState.FINISHED) -> None:
        key = proposal.student, proposal.number
        if state is TrialState.FINISHED:
            record.note(*key, "best", {"val_pauc": value, "val_f1": 0.6, "epoch": 1})
            record.report(*key, 1, value)
            record.note(*key, "checkpoint", f"ray/{proposal.number}")
        if state is TrialState.FINISHED and proposal.reads_test:
            record.note(*key, "test", {"test_pauc": value - 0.1, "test_f1": 0.5})
        if state is TrialState.FAILED:
            record.note(*key, "reason", "student_loss not finite")
        record.end(*key, state)

    return run


@pytest.fixture
def run_all(end_run) -> Callable[..., list[Proposal]]:
    """End every run there is to be; ``value_of`` gives each its objective."""

    def run(record: ConfirmRecord, value_of: Callable[[Proposal], float] = lambda _: 0.5) -> list[Proposal]:
        ran = []
        while proposal := record.propose("tiny_conv"):
            end_run(record, proposal, value_of(proposal))
            ran.append(proposal)
        return ran

    return run
