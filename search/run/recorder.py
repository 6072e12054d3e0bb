"""What Ray Tune reports, written to the record, to MLflow and to the live table."""

import platform
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ray.tune import Callback, Checkpoint
from ray.tune.experiment import Trial
from ray.tune.result import DONE, SHOULD_CHECKPOINT

from search.log import EVENTS
from search.propose.sizes import size_params
from search.record.at_work import where_in
from search.record.states import TrialState
from search.run.failure import Failure
from search.run.halt import Halt
from search.run.leaving import Leaving
from search.run.meter import Meter
from search.run.profile import Profile
from search.run.progress import Progress
from search.run.scheduler import StudentLadders
from search.run.searcher import SweepSearcher
from search.screen.board import SweepBoard
from search.tracking.tracker import Tracker
from trainables.storage.path import StoragePath, storage_path

MOST_DEATHS, MOST_LOSSES = 3, 10
"""Workers that a trial may lose without a new epoch between: by themselves, and with those lost with their machines.

Machines come and go, but what kills one worker after another at the same place is the trial; so may be what takes each
machine with it."""
STOPPED = "stopped by the user"
GAVE_WAY = "gives way to another sweep; it goes on from its checkpoint"
OWN_METRICS = ("train_", "val_", "temperature", "learning_rate", "epoch_seconds")


class Recorder(Callback):
    """The one place where results and ends of trials are recorded.

    A callback, because Tune tells callbacks of every result and every end; its searchers never
    see the result that stops a trial.
    """

    def __init__(
        self,
        searcher: SweepSearcher,
        ladders: StudentLadders,
        tracker: Tracker,
        board: SweepBoard,
        profile: Profile,
        meter: Meter,
        halt: Halt | None = None,
        leaving: Leaving | None = None,
    ) -> None:
        self.searcher, self.record = searcher, searcher.record
        self.ladders, self.tracker, self.board, self.profile = ladders, tracker, board, profile
        self.progress, self.meter = Progress(self.record, meter), meter
        self.metric, self.mode = self.record.sweep.objective.metric, self.record.sweep.objective.mode
        self.halt, self.leaving = halt or Halt(lambda: False), leaving or Leaving()
        self._checkpoints: dict[tuple[str, int], StoragePath] = {}
        self._nodes: dict[tuple[str, int], str] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore of its own, which distune never asks for."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        key = student, number = _key(trial)
        EVENTS.info("%s %d: starts after epoch %d", student, number, trial.config["reported"])
        params = trial.config["trial"] | size_params(trial.config["trial"])
        self.tracker.start_trial(student, number, params, self.record.tags(student, number))
        self.board.trial_started(student, number, trial.config["reported"])
        self.halt.started(key)
        self.progress.started(key, trial.config["resources"]["gpu"])

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        key, epoch, metrics = _key(trial), result["epoch"], _metrics(result)
        self._nodes[key] = result.get("node") or self._nodes.get(key, "")
        if key in self.ladders.gave_way or (not result[DONE] and self.leaving(self._nodes[key])):
            # Tune looks at this after its callbacks.
            result[SHOULD_CHECKPOINT] = True
        self.profile.reported(key, result)
        if "node" in result:
            # As all that a trial says at its start alone.
            self.progress.placed(key, where_in(result))
        if "corpus_placed" in result:
            EVENTS.info("%s %d: corpus %s", *key, result["corpus_placed"])
        if "unsaved" in result:
            EVENTS.warning("%s %d: it goes on without a checkpoint: %s", *key, result["unsaved"])
        with self.profile.at_work("records"), self.record.together():
            best = self.record.noted(*key, "best")
            # Before the report, which is what a trial that goes on is taken to have behind it.
            if best is None or self._is_better(metrics, best):
                self.record.note(*key, "best", {**metrics, "epoch": epoch})
            if test := _metrics(result, ("test_",)):
                self.record.note(*key, "test", test)
            self.record.report(*key, epoch, metrics[self.metric], stopped=key in self.ladders.stopped_at)
            if result[DONE]:
                # Tune asks no scheduler of a trial's last result, but others are to be compared with it.
                self.ladders.ladders[key[0]].report(key[1], epoch, metrics[self.metric])
            self.progress.reported(key, metrics)
            # Not among the trial's own metrics: it is of the machine, and no rerun has it again.
            told = metrics | _metrics(result, ("peak_memory_mb",))
            self.tracker.log_epoch(*key, epoch, told, result.get("hostname"))
            self.board.trial_reported(*key, epoch, metrics[self.metric], where_of(result))

    def on_checkpoint(
        self, iteration: int, trials: list[Trial], trial: Trial, checkpoint: Checkpoint, **info: Any
    ) -> None:
        """Note the checkpoint, and only then delete the one before it.

        Tune would do that too (``num_to_keep``), but at the price of its whole state on disk a checkpoint.
        """
        key = _key(trial)
        self.profile.saved(key)
        with self.profile.at_work("records"):
            saved = storage_path(checkpoint.filesystem, checkpoint.path)
            self.record.note(*key, "checkpoint", str(saved))
            self._delete_checkpoint(key)
            self._checkpoints[key] = saved

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        key = _key(trial)
        if key in self.ladders.gave_way:
            self.ladders.gave_way.remove(key)
            self._goes_on(key, STOPPED if self.halt.wanted else GAVE_WAY)
            return
        if key in self.ladders.stopped_at:
            self._end(key, TrialState.PRUNED)
            return
        patience, epochs = (trial.config["trial"][f"training.{name}"] for name in ("early_stopping_patience", "epochs"))
        ran_out = trial.last_result["epoch"] < epochs
        self._end(key, TrialState.FINISHED, f"no better {self.metric} in {patience} epochs" if ran_out else None)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        key, had, failure = _key(trial), trial.config["resources"], Failure.of(trial)
        if key not in self.progress.at_work:
            # It failed in its setup, before Tune told of its start.
            self.on_trial_start(iteration, trials, trial)
        if failure.out_of_memory and self.searcher.enlarge(*key, had):
            self._goes_on(key, f"out of memory with {had['gpu']:g} of a GPU; it goes on with more")
        elif failure.worker_died:
            self._lost_its_worker(key, failure)
        else:
            self._end(key, TrialState.FAILED, failure.reason)

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """The run is over; trials that were at work are interrupted, which closing the tracker tells MLflow."""
        for key in self.progress.at_work:
            self.progress.ended(key)
            if self.halt.wanted:
                self.tracker.end_trial(*key, TrialState.INTERRUPTED, reason=STOPPED)
        self.meter.keep()

    def _lost_its_worker(self, key: tuple[str, int], failure: Failure) -> None:
        reached = self.record.reached(*key)
        kind = "machines" if failure.machine_lost else "workers"
        lost = self.record.noted(*key, "lost")
        if lost is None or lost["after"] != reached:
            # A trial that gets further each time is not what kills its workers.
            lost = {"after": reached, "workers": [], "machines": []}
        lost = lost | {kind: [*lost[kind], failure.reason]}
        self.record.note(*key, "lost", lost)
        losses = lost["workers"] + lost["machines"]
        if len(lost["workers"]) < MOST_DEATHS and len(losses) < MOST_LOSSES:
            self._goes_on(key, f"{failure.reason}; it goes on from its last checkpoint")
        else:
            told = "; ".join(dict.fromkeys(losses))
            self._end(key, TrialState.FAILED, f"lost its worker {len(losses)} times after epoch {reached}: {told}")

    def _goes_on(self, key: tuple[str, int], reason: str) -> None:
        """The trial is run again, in this run or a later one: in the record it keeps running."""
        EVENTS.warning("%s %d: %s", *key, reason)
        self.progress.ended(key)
        self.halt.ended(key)
        self.tracker.end_trial(*key, TrialState.INTERRUPTED, reason=reason)
        self.board.trial_ended(*key, TrialState.INTERRUPTED, reason=reason)
        self.searcher.run_again(*key)

    def _end(self, key: tuple[str, int], state: TrialState, reason: str | None = None) -> None:
        with self.profile.at_work("records"), self.record.together():
            self.progress.ended(key)
            self.halt.ended(key)
            if reason:
                self.record.note(*key, "reason", reason)
            self.record.end(*key, state)
            if state is TrialState.PRUNED:
                # Most trials are, and nobody goes on from them or takes their weights home.
                self._delete_checkpoint(key)
            best = self.record.noted(*key, "best") or {}
            EVENTS.info("%s %d: %s%s", *key, state, f", {reason}" if reason else "")
            metrics = {f"best_{name}": best[name] for name in best} | (self.record.noted(*key, "test") or {})
            self.tracker.end_trial(*key, state, metrics=metrics, reason=reason)
            self.board.expect(key[0], self.record.target(key[0]))
            self.board.trial_ended(*key, state, best.get(self.metric), best.get("val_f1"), reason)

    def _delete_checkpoint(self, key: tuple[str, int]) -> None:
        """That which this run of the sweep saved last of a trial, if any."""
        if saved := self._checkpoints.pop(key, None):
            with suppress(OSError):  # a folder that is left over costs room, and nothing else
                saved.remove()

    def _is_better(self, metrics: Mapping[str, float], best: Mapping[str, float]) -> bool:
        new, old = metrics[self.metric], best[self.metric]
        return new > old if self.mode == "max" else new < old


def where_of(result: Mapping[str, Any]) -> str | None:
    """The machine, if it is another than this one, and GPU that a result comes from, as far as it says."""
    host, gpus = result.get("hostname"), result.get("gpus")
    told = [f"GPU {', '.join(map(str, gpus))}"] if gpus else []
    if host and host != platform.node():
        told.insert(0, host)
    return " ".join(told) or (host and "this machine")


def _key(trial: Trial) -> tuple[str, int]:
    return trial.config["student"], trial.config["number"]


def _metrics(result: Mapping[str, Any], prefixes: tuple[str, ...] = OWN_METRICS) -> dict[str, float]:
    """The numbers of our own, without what Tune adds to a result."""
    return {name: float(value) for name, value in result.items() if name.startswith(prefixes)}
