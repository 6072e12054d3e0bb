"""Early stopping as Ray Tune sees it: one ladder a student, so that students never compete."""

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.result import DONE
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from search.record.trials import TrialRecord
from search.run.ladder import NOBODY_SPARED, Ladder, brackets, rungs
from search.run.pareto_ladder import ParetoLadder
from search.run.searcher import SweepSearcher
from spaces.space import Space
from spaces.sweep import SweepConfig

log = logging.getLogger(__name__)

WARMUP = "optimizer.warmup_epochs"


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
    epochs, spared = [], NOBODY_SPARED
    if stopping.scheduler != "none":
        first = _first_rung(sweep, student, record.spaces[student])
        epochs = rungs(first, stopping.reduction_factor, sweep.epochs_of(student))
    if stopping.scheduler == "hyperband":
        spared = brackets(len(epochs), stopping.reduction_factor, sweep.search.seed)
    settings = epochs, stopping.reduction_factor, sweep.objective.mode == "max", spared
    if record.minimises_size(student):
        return ParetoLadder(*settings, size_of=partial(record.size_of, student))
    return Ladder(*settings)


def _first_rung(sweep: SweepConfig, student: str, space: Space) -> int:
    """The grace period; longer where a trial of the space can be warming up for longer.

    Before its learning rate is reached, a trial says nothing of it.
    """
    grace = sweep.grace_epochs_of(student)
    if WARMUP in space.parameters:
        warmup = int(max(space.parameters[WARMUP].extremes))
    else:
        held = {key: value for key, value in space.fixed.items() if key == WARMUP}
        warmup = sweep.trial_config(student, held, number=0).optimizer.warmup_epochs
    if grace < warmup:
        told = "%s: first rung at epoch %d rather than %d, because the learning rate warms up until then"
        log.info(told, student, warmup, grace)
    return max(grace, warmup)


class StudentLadders(FIFOScheduler):
    """Stops a trial that falls behind on its student's ladder.

    Ray's own ASHA loses its rungs on a restore, drops the last one to float rounding and lets a
    NaN run on, hence a ladder of our own.

    Attributes:
        stopped_at: (student, number) to the epoch of the rung where the trial was stopped.
        gave_way: (student, number) of trials that were stopped for the user's or another sweep's sake, and are to go
            on later.

    Args:
        searcher: knows whether a trial is to stop for now.
    """

    def __init__(self, ladders: Mapping[str, Ladder], metric: str, searcher: SweepSearcher) -> None:
        super().__init__()
        self.ladders = ladders
        self.objective = metric
        self.stopped_at: dict[tuple[str, int], int] = {}
        self.gave_way: set[tuple[str, int]] = set()
        self._searcher = searcher

    def on_trial_result(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> str:
        student, number = trial.config["student"], trial.config["number"]
        if self.ladders[student].report(number, result["epoch"], result[self.objective]):
            if result[DONE] or not self._searcher.gives_way():
                return TrialScheduler.CONTINUE
            self.gave_way.add((student, number))
            return TrialScheduler.STOP
        self.stopped_at[student, number] = result["epoch"]
        return TrialScheduler.STOP

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """None in particular: Tune starts those that wait in their order, and its own choice looks through all trials.

        It is asked at every turn of Tune's loop, so here the one idle worker that Tune keeps for a trial to come, and
        with it a share of a machine, is let go where other sweeps want it and none comes.
        """
        if self._searcher.lets_go:
            controller = tune_controller._tune_controller
            if controller._actor_cache.num_cached_objects and not controller._actor_cache.total_max_objects:
                controller._cleanup_cached_actors(force_all=True)
        return None
