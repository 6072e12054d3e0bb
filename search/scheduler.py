"""Early stopping as Ray Tune sees it: one ladder a student, so that students never compete."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from search.ladder import Ladder, rungs
from search.pareto_ladder import ParetoLadder
from search.trials import TrialRecord


def restored_ladders(record: TrialRecord) -> dict[str, Ladder]:
    """Each student's ladder as the recorded reports left it."""
    ladders = {}
    for student, study in record.studies.items():
        ladders[student] = _ladder(record, student)
        ladders[student].restore(
            (trial.number, epoch, value)
            for trial in study.get_trials(deepcopy=False)
            for epoch, value in trial.intermediate_values.items()
        )
    return ladders


def _ladder(record: TrialRecord, student: str) -> Ladder:
    """A student's ladder before any report."""
    sweep, stopping = record.sweep, record.sweep.early_stopping
    epochs = rungs(sweep.grace_epochs_of(student), stopping.reduction_factor, sweep.epochs_of(student))
    kept = epochs if stopping.scheduler == "asha" else []
    settings = kept, stopping.reduction_factor, sweep.objective.mode == "max"
    if not record.minimises_size(student):
        return Ladder(*settings)
    return ParetoLadder(*settings, size_of=partial(record.size_of, student))


class StudentLadders(FIFOScheduler):
    """Stops a trial that falls behind on its student's ladder.

    Ray's own ASHA loses its rungs on a restore, drops the last one to float rounding and lets a
    NaN run on, hence a ladder of our own.

    Attributes:
        stopped_at: (student, number) to the epoch of the rung where the trial was stopped.
    """

    def __init__(self, ladders: Mapping[str, Ladder], metric: str) -> None:
        super().__init__()
        self.ladders = ladders
        self.objective = metric
        self.stopped_at: dict[tuple[str, int], int] = {}

    def on_trial_result(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> str:
        student, number = trial.config["student"], trial.config["number"]
        if self.ladders[student].report(number, result["epoch"], result[self.objective]):
            return TrialScheduler.CONTINUE
        self.stopped_at[student, number] = result["epoch"]
        return TrialScheduler.STOP
