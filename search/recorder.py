"""What Ray Tune reports, written to the record, to MLflow and to the live table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ray import cloudpickle
from ray.exceptions import RayError, RayTaskError
from ray.tune import Callback, Checkpoint
from ray.tune.experiment import Trial

from search.log import EVENTS
from search.profile import Profile
from search.scheduler import StudentLadders
from search.screen.board import SweepBoard
from search.searcher import SweepSearcher
from search.states import TrialState
from search.tracking.tracker import Tracker

OWN_METRICS = ("train_", "val_", "temperature", "learning_rate", "epoch_seconds")


class Recorder(Callback):
    """The one place where results and ends of trials are recorded.

    A callback, because Tune tells callbacks of every result and every end; its searchers never
    see the result that stops a trial.
    """

    def __init__(
        self, searcher: SweepSearcher, ladders: StudentLadders, tracker: Tracker, board: SweepBoard, profile: Profile
    ) -> None:
        self.searcher, self.record = searcher, searcher.record
        self.ladders, self.tracker, self.board, self.profile = ladders, tracker, board, profile
        self.metric, self.mode = self.record.sweep.objective.metric, self.record.sweep.objective.mode
        self._checkpoints: dict[tuple[str, int], Checkpoint] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore of its own, which distune never asks for."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        student, number = _key(trial)
        EVENTS.info("%s %d: starts after epoch %d", student, number, trial.config["reported"])
        self.tracker.start_trial(student, number, trial.config["trial"], self.record.tags(student, number))
        self.board.trial_started(student, number, trial.config["reported"])

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        key, metrics = _key(trial), _metrics(result)
        self.profile.reported(key, result)
        if "corpus_placed" in result:
            EVENTS.info("%s %d: corpus %s", *key, result["corpus_placed"])
        with self.profile.at_work("records"):
            self.record.report(*key, result["epoch"], metrics[self.metric])
            self.tracker.log_epoch(*key, result["epoch"], metrics)
            self.board.trial_reported(*key, result["epoch"])
            best = self.record.noted(*key, "best")
            if best is None or self._is_better(metrics, best):
                self.record.note(*key, "best", {**metrics, "epoch": result["epoch"]})
            if test := _metrics(result, ("test_",)):
                self.record.note(*key, "test", test)

    def on_checkpoint(
        self, iteration: int, trials: list[Trial], trial: Trial, checkpoint: Checkpoint, **info: Any
    ) -> None:
        """Note the checkpoint, and only then delete the one before it.

        Tune would do that too (``num_to_keep``), but at the price of its whole state on disk a checkpoint.
        """
        key = _key(trial)
        self.profile.saved(key)
        with self.profile.at_work("records"):
            self.record.note(*key, "checkpoint", checkpoint.path)
            if old := self._checkpoints.get(key):
                old.filesystem.delete_dir(old.path)
            self._checkpoints[key] = checkpoint

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        key = _key(trial)
        self._end(key, TrialState.PRUNED if key in self.ladders.stopped_at else TrialState.FINISHED)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        key, share = _key(trial), trial.config["resources"]["gpu"]
        failure = _failure(trial)
        if _out_of_memory(failure) and self.searcher.run_again(*key, share):
            self._interrupted(key, f"out of memory with {share:g} of a GPU; it goes on with more")
        else:
            self._end(key, TrialState.FAILED, reason=_reason(failure))

    def _interrupted(self, key: tuple[str, int], reason: str) -> None:
        """The trial goes on later: in the record it keeps running."""
        EVENTS.warning("%s %d: %s", *key, reason)
        self.tracker.end_trial(*key, TrialState.INTERRUPTED, reason=reason)
        self.board.trial_ended(*key, TrialState.INTERRUPTED)

    def _end(self, key: tuple[str, int], state: TrialState, reason: str | None = None) -> None:
        with self.profile.at_work("records"):
            if reason:
                self.record.note(*key, "reason", reason)
            self.record.end(*key, state)
            best = self.record.noted(*key, "best") or {}
            EVENTS.info("%s %d: %s%s", *key, state, f", {reason}" if reason else "")
            metrics = {f"best_{name}": best[name] for name in best} | (self.record.noted(*key, "test") or {})
            self.tracker.end_trial(*key, state, metrics=metrics, reason=reason)
            self.board.expect(key[0], self.record.target(key[0]))
            self.board.trial_ended(*key, state, best.get(self.metric), best.get("val_f1"))

    def _is_better(self, metrics: Mapping[str, float], best: Mapping[str, float]) -> bool:
        new, old = metrics[self.metric], best[self.metric]
        return new > old if self.mode == "max" else new < old


def _key(trial: Trial) -> tuple[str, int]:
    return trial.config["student"], trial.config["number"]


def _metrics(result: Mapping[str, Any], prefixes: tuple[str, ...] = OWN_METRICS) -> dict[str, float]:
    """The numbers of our own, without what Tune adds to a result."""
    return {name: float(value) for name, value in result.items() if name.startswith(prefixes)}


def _failure(trial: Trial) -> Exception | str:
    """What ended a trial that failed: its exception, or where Tune kept none, its traceback."""
    # Not trial.get_error(): it reads a copy that Tune makes after its callbacks ran.
    if trial.pickled_error_file is None:
        return Path(trial.error_file).read_text(encoding="utf-8")
    error = cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())
    return error.cause if isinstance(error, RayTaskError) else error


def _out_of_memory(failure: Exception | str) -> bool:
    return isinstance(failure, torch.OutOfMemoryError)


def _reason(failure: Exception | str) -> str:
    """In one line."""
    if isinstance(failure, str):
        return failure.strip().splitlines()[-1]
    if isinstance(failure, RayError):
        # Of a process that died, Ray's first line says so; the others are its addresses.
        return str(failure).strip().splitlines()[0]
    told = " ".join(str(failure).split())
    return f"{type(failure).__name__}: {told}"
