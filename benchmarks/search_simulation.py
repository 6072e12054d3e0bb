"""Ray Tune's loop without Ray, for `search_cost.py`: real searchers and schedulers, simulated workers and clock.

An epoch is one unit of time on every worker. What is called in which order is
`ray.tune.execution.tune_controller.TuneController`'s, of Ray 2.60.
"""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.result import DONE, TRAINING_ITERATION
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

METRIC = "val_pauc"


@dataclass(eq=False)
class SimulatedTrial:
    """As much of Tune's trial as its schedulers look at."""

    trial_id: str
    config: dict[str, Any]
    curve: np.ndarray
    status: str = Trial.PENDING
    epoch: int = 0
    is_saving: bool = False

    @property
    def best(self) -> float:
        """Of the epochs so far."""
        return float(self.curve[: self.epoch].max())

    @property
    def finished(self) -> bool:
        """Whether it was trained to its end."""
        return self.epoch == len(self.curve)

    @property
    def last_result(self) -> dict[str, Any]:
        return {METRIC: float(self.curve[self.epoch - 1]), "epoch": self.epoch, TRAINING_ITERATION: self.epoch}


@dataclass
class SimulatedTune:
    """One run of Tune over simulated trials, until the epochs are spent.

    Args:
        curve_of: a trial's config and number to what it will report, an epoch each.
        told: called with the trial after each of its results.
    """

    searcher: Searcher
    scheduler: TrialScheduler
    callbacks: Sequence[Callback]
    curve_of: Callable[[Mapping[str, Any], int], np.ndarray]
    told: Callable[[SimulatedTrial], None]
    n_workers: int
    trials: list[SimulatedTrial] = field(default_factory=list)

    def get_trials(self) -> list[SimulatedTrial]:
        return self.trials

    def stop_trial(self, trial: SimulatedTrial) -> None:
        """End a trial; a scheduler calls this for those that it has paused."""
        if trial.status == Trial.RUNNING:
            self.scheduler.on_trial_complete(self, trial, trial.last_result)
            self.searcher.on_trial_complete(trial.trial_id, trial.last_result)
        else:
            self.scheduler.on_trial_remove(self, trial)
            self.searcher.on_trial_complete(trial.trial_id)
        for callback in self.callbacks:
            callback.on_trial_complete(0, self.trials, trial)
        trial.status = Trial.TERMINATED

    def run(self, n_epochs: int) -> None:
        clock: list[tuple[int, int, SimulatedTrial]] = []
        order = now = 0
        for _ in range(n_epochs):
            while len(clock) < self.n_workers and (trial := self._next()) is not None:
                trial.status = Trial.RUNNING
                heapq.heappush(clock, (now + 1, order := order + 1, trial))
            now, _, trial = heapq.heappop(clock)
            self._result(trial)
            if trial.status == Trial.RUNNING:
                heapq.heappush(clock, (now + 1, order := order + 1, trial))

    def _next(self) -> SimulatedTrial | None:
        waiting = self.scheduler.choose_trial_to_run(self)
        if waiting is not None:
            return waiting
        trial_id = f"{len(self.trials):05d}"
        config = self.searcher.suggest(trial_id)
        if not isinstance(config, dict):
            return None
        trial = SimulatedTrial(trial_id, config, self.curve_of(config, len(self.trials)))
        self.trials.append(trial)
        self.scheduler.on_trial_add(self, trial)
        for callback in self.callbacks:
            callback.on_trial_start(0, self.trials, trial)
        return trial

    def _result(self, trial: SimulatedTrial) -> None:
        trial.epoch += 1
        result = trial.last_result | {DONE: trial.finished}
        decision = TrialScheduler.STOP if trial.finished else self.scheduler.on_trial_result(self, trial, result)
        result[DONE] = decision == TrialScheduler.STOP
        if not result[DONE]:
            self.searcher.on_trial_result(trial.trial_id, result)
        for callback in self.callbacks:
            callback.on_trial_result(0, self.trials, trial, result)
        if result[DONE]:
            self.stop_trial(trial)
        elif decision == TrialScheduler.PAUSE:
            trial.status = Trial.PAUSED
        self.told(trial)
