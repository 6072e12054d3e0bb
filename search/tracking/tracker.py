"""What a sweep tells MLflow; a thread of the driver writes it in batches, so that no trial waits for it.

One experiment a sweep, a parent run a student, a child run a trial. Every call may be repeated, also by a
later process: runs are found again by their tags, and a point is written once. So a resumed sweep simply
starts its trials again, and may replay what Optuna recorded to mend what a killed driver left unwritten.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from search.record.states import TrialState
from search.tracking.batch import Batch, Inputs, Point, RunKey, Stage, WinningModel
from search.tracking.provenance import provenance
from search.tracking.spool import Spool
from search.tracking.store import TAG_NODE, TAG_REASON, TAG_STATE, TAG_STOPPED, TrackingStore, connect
from search.tracking.writer import Writer


class Tracker:
    """Records one sweep in MLflow. The calls only queue; ``close`` waits until all is written.

    Args:
        stage: whose trials it is told of; those of another stage have the same numbers.
        inputs: what every run learns from.

    Attributes:
        recorded: the states that the runs had when the tracker was opened.
    """

    def __init__(
        self, store: TrackingStore, uri: str, spool: Spool, stage: Stage = "search", inputs: Inputs | None = None
    ) -> None:
        self.stage, self.inputs = stage, inputs
        self._provenance = provenance()
        self.experiment_id = store.experiment_id
        self.uri = uri
        self.recorded = store.states
        self._open: dict[RunKey, None] = {}
        self._over = {key for key, state in self.recorded.items() if key.trial is not None and state.is_over}
        self._last_epoch: dict[RunKey, int] = {}
        self._nodes: dict[RunKey, str] = {}
        self._writer = Writer(store, uri, spool)

    @classmethod
    def open(
        cls,
        uri: str,
        experiment_name: str,
        artifacts: Path,
        spool: Path,
        stage: Stage = "search",
        inputs: Inputs | None = None,
    ) -> Self:
        """Connect to the store and start writing.

        Args:
            uri: an MLflow server or a database, e.g. ``Home.tracking_uri``.
            experiment_name: the sweep's name; an experiment of that name is continued.
            artifacts: where a database's artifacts go, e.g. ``Home.artifacts``.
            spool: a file for what is not written yet; what it holds already, an earlier process' rest, is written too.
            stage: whose trials it is told of.
            inputs: the clips and the teacher, logged as inputs of every run.

        Raises:
            InputError: the store cannot be used.
        """
        return cls(connect(uri, experiment_name, artifacts), uri, Spool(spool), stage, inputs)

    def start_student(
        self, student: str, params: Mapping[str, Any] | None = None, tags: Mapping[str, Any] | None = None
    ) -> None:
        """Start or continue a student's parent run."""
        self._start(RunKey(student), params or {}, tags or {})

    def start_trial(
        self, student: str, number: int, params: Mapping[str, Any], tags: Mapping[str, Any] | None = None
    ) -> None:
        """Start or continue trial ``number``; params under the platform's dotted keys."""
        self._start(self._key(student, number), params, tags or {})

    def log_epoch(
        self, student: str, number: int, epoch: int, metrics: Mapping[str, float], node: str | None = None
    ) -> None:
        """Record the metrics of one epoch, which is their step; an epoch recorded before stands.

        Args:
            node: the machine that it was trained on; a trial that moved shows its last one.

        Raises:
            TypeError: a metric is no number.
        """
        key = self._key(student, number)
        self._last_epoch[key] = max(epoch, self._last_epoch.get(key, epoch))
        moved = node is not None and self._nodes.get(key) != node
        self._nodes |= {key: node} if node is not None else {}
        self._put(key, tags={TAG_NODE: node} if moved else {}, points=metrics, step=epoch)

    def end_trial(
        self,
        student: str,
        number: int,
        state: TrialState,
        *,
        tags: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        reason: str | None = None,
    ) -> None:
        """Record how a trial ended.

        Args:
            metrics: of the trial as a whole, e.g. ``best_val_pauc``; recorded at its last epoch.
            reason: why it failed or was interrupted; of a trial that early stopping ended, its rung unless said.
        """
        key = self._key(student, number)
        last = self._last_epoch.get(key)
        told = dict(tags or {})
        if state is TrialState.PRUNED and last is not None:
            told = {TAG_STOPPED: last, TAG_REASON: f"early stopping after epoch {last}"} | told
        if reason:
            told[TAG_REASON] = reason
        if state.is_over:
            self._over.add(key)
        self._open.pop(key, None)
        self._nodes.pop(key, None)
        self._put(key, tags=told, points=metrics or {}, step=last or 0, state=state)

    def end_student(self, student: str, metrics: Mapping[str, float], state: TrialState = TrialState.FINISHED) -> None:
        """Record a student's summary, at the number of its trials that are over as the step."""
        key = RunKey(student)
        self._open.pop(key, None)
        n_over = sum(over.student == student for over in self._over)
        self._put(key, points=metrics, step=n_over, state=state)

    def tag_trial(self, student: str, number: int, tags: Mapping[str, Any]) -> None:
        """Add tags to a trial's run, whether or not it is over."""
        self._put(self._key(student, number), tags=tags)

    def tag_student(self, student: str, tags: Mapping[str, Any]) -> None:
        """Add tags to a student's parent run."""
        self._put(RunKey(student), tags=tags)

    def log_files(self, student: str, files: Mapping[str, Path], number: int | None = None) -> None:
        """Add files to a student's parent run as artifacts, or to one of its trials; again replaces them.

        They are sent by the same thread as everything else, so they must stay where they are until ``close`` returns,
        or until the next driver where it could not send them.

        Args:
            files: artifact's path, such as ``plots/history.html``, to the file.
        """
        key = RunKey(student) if number is None else self._key(student, number)
        self._put(key, files={path: str(file.absolute()) for path, file in files.items()})

    def log_model(self, student: str, number: int, model: WinningModel) -> None:
        """Log a confirmed winner as the model of trial ``number``, register it, and see whether it is champion."""
        self._put(self._key(student, number), model=model)

    def close(self, timeout: float = 60.0) -> int:
        """Mark what still runs as interrupted and wait until all is written.

        Args:
            timeout: seconds.

        Returns:
            Number of points and files that could not be written; they stay in the spool, and the log says so.
        """
        for key in list(self._open):
            self._put(key, state=TrialState.INTERRUPTED)
        self._open.clear()
        return self._writer.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def knows_end_of(self, student: str, number: int) -> bool:
        """Whether the trial's run had an end when the tracker was opened."""
        state = self.recorded.get(self._key(student, number))
        return state is not None and state.is_over

    def _key(self, student: str, number: int) -> RunKey:
        return RunKey(student, number, self.stage)

    def _start(self, key: RunKey, params: Mapping[str, Any], tags: Mapping[str, Any]) -> None:
        self._open[key] = None
        self._put(key, params=params, tags={**self._provenance, **tags}, state=TrialState.RUNNING, inputs=self.inputs)

    def _put(
        self,
        key: RunKey,
        *,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        points: Mapping[str, float] | None = None,
        step: int = 0,
        state: TrialState | None = None,
        files: Mapping[str, str] | None = None,
        inputs: Inputs | None = None,
        model: WinningModel | None = None,
    ) -> None:
        now_ms = int(time.time() * 1000)
        batch = Batch(
            key,
            now_ms,
            params={name: str(value) for name, value in (params or {}).items()},
            tags={name: str(value) for name, value in (tags or {}).items()} | ({TAG_STATE: state} if state else {}),
            points=[Point(name, float(value), step, now_ms) for name, value in (points or {}).items()],
            state=state,
            state_ms=now_ms,
            files=dict(files or {}),
            inputs=inputs,
            model=model,
        )
        self._writer.put(batch)
