"""What Ray Tune reports, written to the record, to MLflow and to the live table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import cloudpickle
from ray.exceptions import RayTaskError
from ray.tune import Callback, Checkpoint
from ray.tune.experiment import Trial

from search.log import EVENTS
from search.record import SweepRecord
from search.scheduler import StudentLadders
from search.screen.board import SweepBoard
from search.states import TrialState
from search.tracking.tracker import Tracker

OWN_METRICS = ("train_", "val_", "temperature", "learning_rate", "epoch_seconds")



class Recorder(Callback):
    """The one place where results and ends of trials are recorded.

    A callback, because Tune tells callbacks of every result and every end; its searchers never
    see the result that stops a trial.
    """

    def __init__(self, record: SweepRecord, ladders: StudentLadders, tracker: Tracker, board: SweepBoard) -> None:
        self.record, self.ladders, self.tracker, self.board = record, ladders, tracker, board
        self.metric, self.mode = record.sweep.objective.metric, record.sweep.objective.mode

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore of its own, which distune never asks for."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        student, number = _key(trial)
        EVENTS.info("%s %d: starts after epoch %d", student, number, trial.config["reported"])
        self.tracker.start_trial(student, number, trial.config["trial"], {"distune.sweep": self.record.sweep.name})
        self.board.trial_started(student, number, trial.config["reported"])

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        key, metrics = _key(trial), _metrics(result)
        self.record.report(*key, result["epoch"], metrics[self.metric])
        self.tracker.log_epoch(*key, result["epoch"], metrics)
        self.board.trial_reported(*key, result["epoch"])
        best = self.record.best_metrics(*key)
        if best is None or self._is_better(metrics, best):
            self.record.note(*key, "best", {**metrics, "epoch": result["epoch"]})

    def on_checkpoint(
        self, iteration: int, trials: list[Trial], trial: Trial, checkpoint: Checkpoint, **info: Any
    ) -> None:
        self.record.note(*_key(trial), "checkpoint", checkpoint.path)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        key = _key(trial)
        self._end(key, TrialState.PRUNED if key in self.ladders.stopped_at else TrialState.FINISHED)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._end(_key(trial), TrialState.FAILED, reason=_reason(trial))

    def _end(self, key: tuple[str, int], state: TrialState, reason: str | None = None) -> None:
        if reason:
            self.record.note(*key, "reason", reason)
        self.record.end(*key, state)
        best = self.record.best_metrics(*key) or {}
        EVENTS.info("%s %d: %s%s", *key, state, f", {reason}" if reason else "")
        self.tracker.end_trial(*key, state, metrics={f"best_{name}": best[name] for name in best}, reason=reason)
        self.board.trial_ended(*key, state, best.get(self.metric), best.get("val_f1"))

    def _is_better(self, metrics: Mapping[str, float], best: Mapping[str, float]) -> bool:
        new, old = metrics[self.metric], best[self.metric]
        return new > old if self.mode == "max" else new < old


def _key(trial: Trial) -> tuple[str, int]:
    return trial.config["student"], trial.config["number"]


def _metrics(result: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of our own, without what Tune adds to a result."""
    return {name: float(value) for name, value in result.items() if name.startswith(OWN_METRICS)}


def _reason(trial: Trial) -> str:
    """What ended a trial that failed, in one line."""
    # Not trial.get_error(): it reads a copy that Tune makes after its callbacks ran.
    if trial.pickled_error_file is None:
        text = Path(trial.error_file).read_text(encoding="utf-8")
        return text.strip().splitlines()[-1]
    error = cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())
    if isinstance(error, RayTaskError):
        told = " ".join(str(error.cause).split())
        return f"{type(error.cause).__name__}: {told}"
    # Of a process that died, Ray's first line says so; the others are its addresses.
    return str(error).strip().splitlines()[0]
