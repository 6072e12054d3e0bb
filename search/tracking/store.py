"""The MLflow side of tracking: one sweep's experiment, its runs found again, batches written to them.

MLflow's client splits what it is given into calls of at most 1000 metrics, 100 params and 100 tags.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import filelock
import mlflow
import sqlalchemy
from mlflow.entities import Metric, Param, Run, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from search.record.states import TrialState
from search.tracking.attachments import log_file, log_inputs
from search.tracking.batch import Batch, RunKey, Stage, WinningModel, unwritten
from search.tracking.faults import RefusedError, faults_told_apart
from search.tracking.registry import log_winner
from search.tracking.settings import PASSWORD, USER, login_set_apart, settle_mlflow
from spaces.errors import Fault, InputError
from spaces.secrets import without_password

TAG_STUDENT, TAG_TRIAL, TAG_STAGE = "distune.student", "distune.trial", "distune.stage"
TAG_STATE = "distune.state"
TAG_REASON, TAG_STOPPED, TAG_NODE = "distune.reason", "distune.stopped_at_epoch", "distune.node"
TAG_UPDATED = "distune.updated"  # . and a param's key: its newer value, since MLflow never changes a param
TAG_PARENT = "mlflow.parentRunId"

RUNS_PER_PAGE = 1000
LOGIN = {
    "UNAUTHENTICATED": "is a server that refuses the login, or the lack of one",
    "PERMISSION_DENIED": "is a server that does not let this user do that",
}
SQLITE_PREFIX = "sqlite:///"

log = logging.getLogger(__name__)


@dataclass
class _Known:
    """A run as this process knows it; ``last_steps`` is ``None`` until it is needed and read back."""

    run_id: str
    params: dict[str, str] = field(default_factory=dict)
    state: TrialState | None = None
    metrics: list[str] = field(default_factory=list)
    last_steps: dict[str, int] | None = None
    has_inputs: bool = False


class TrackingStore:
    """The experiment of one sweep; ``connect`` makes it. Used by one thread at a time."""

    def __init__(self, client: MlflowClient, experiment_id: str) -> None:
        self._client = client
        self.experiment_id = experiment_id
        self._runs: dict[RunKey, _Known] = {}
        self._creation_in_doubt = False
        self._find_runs()

    @property
    def states(self) -> dict[RunKey, TrialState]:
        """The state of every run that has one."""
        return {key: known.state for key, known in self._runs.items() if known.state is not None}

    def write(self, batch: Batch) -> None:
        """Write a batch to its run, which is made where it is missing; writing it again changes nothing.

        What is written is taken out of the batch, so that what cannot be written yet holds up nothing but itself.

        Raises:
            UnavailableError: try again later; part of it may be written.
            RefusedError: never try again.
        """
        with faults_told_apart():
            known = self._known(batch.run, batch.time_ms)
            self._log(known, batch)
            batch.params, batch.tags, batch.points = {}, {}, []
            if batch.state is not None and batch.state != known.state:
                self._set_state(known, batch.state, batch.state_ms)
            batch.state = None
        for attach in self._attachments(known, batch):
            # One that is refused holds up no other.
            try:
                with faults_told_apart():
                    attach()
            except RefusedError as error:
                log.warning("run %s in MLflow goes without a part of it: %s", batch.run.name, error)

    def _attachments(self, known: _Known, batch: Batch) -> Iterator[Callable[[], None]]:
        """What is to be attached to a run, a call each; it is taken out of the batch when the next one is asked for."""
        if (inputs := batch.inputs) and not known.has_inputs:
            yield lambda: log_inputs(self._client, self.experiment_id, known.run_id, inputs)
            known.has_inputs = True
        batch.inputs = None
        for path, file in list(batch.files.items()):
            yield partial(log_file, self._client, known.run_id, path, Path(file))
            del batch.files[path]
        if batch.model:
            yield partial(self._log_winner, known, batch, batch.model)
        batch.model = None

    def _log_winner(self, known: _Known, batch: Batch, model: WinningModel) -> None:
        parent = self._known(RunKey(batch.run.student), batch.time_ms)
        log_winner(self._client, self.experiment_id, known.run_id, parent.run_id, batch.run.name, model)

    def _log(self, known: _Known, batch: Batch) -> None:
        if batch.points and known.last_steps is None:
            known.last_steps = {name: self._last_step(known.run_id, name) for name in known.metrics}
        last_steps = known.last_steps or {}
        points = unwritten(batch.points, last_steps)
        new = {key: value for key, value in batch.params.items() if key not in known.params}
        changed = {key: value for key, value in batch.params.items() if known.params.get(key, value) != value}
        tags = batch.tags | {f"{TAG_UPDATED}.{key}": value for key, value in changed.items()}
        self._client.log_batch(
            known.run_id,
            metrics=[Metric(point.metric, point.value, point.time_ms, point.step) for point in points],
            params=[Param(key, value) for key, value in new.items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        known.params |= new
        known.last_steps = last_steps | {point.metric: point.step for point in points} if points else known.last_steps

    def _set_state(self, known: _Known, state: TrialState, time_ms: int) -> None:
        if state is TrialState.RUNNING:
            self._client.update_run(known.run_id, status=state.mlflow)
        else:
            self._client.set_terminated(known.run_id, status=state.mlflow, end_time=time_ms)
        known.state = state

    def _known(self, key: RunKey, time_ms: int) -> _Known:
        if key not in self._runs and self._creation_in_doubt:
            # The last create_run raised, but the server may have made the run before its answer was lost.
            self._find_runs()
            self._creation_in_doubt = False
        if key not in self._runs:
            tags = {TAG_STUDENT: key.student}
            if key.trial is not None:
                parent = self._known(RunKey(key.student), time_ms)
                tags |= {TAG_TRIAL: str(key.trial), TAG_STAGE: key.stage, TAG_PARENT: parent.run_id}
            self._creation_in_doubt = True
            run = self._client.create_run(self.experiment_id, start_time=time_ms, tags=tags, run_name=key.name)
            self._creation_in_doubt = False
            self._runs[key] = _Known(run.info.run_id, last_steps={})
        return self._runs[key]

    def _find_runs(self) -> None:
        """Add the runs that the experiment holds already; the oldest of a key, were there ever two."""
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self.experiment_id], run_view_type=ViewType.ACTIVE_ONLY, max_results=RUNS_PER_PAGE,
                order_by=["attributes.start_time ASC"], page_token=token,
            )  # fmt: skip
            for run in page:
                if TAG_STUDENT in run.data.tags:
                    self._runs.setdefault(_key_of(run), _known_from(run))
            token = page.token
            if not token:
                return

    def _last_step(self, run_id: str, metric: str) -> int:
        return max((point.step for point in self._client.get_metric_history(run_id, metric)), default=-1)


def check_store(uri: str, experiment_name: str) -> None:
    """Refuse a store that a sweep could not be told to, before anything is done for it; nothing is made in it.

    Raises:
        InputError: as `connect`.
    """
    _found(uri, experiment_name)


def connect(uri: str, experiment_name: str, artifacts: Path) -> TrackingStore:
    """Open the store and the sweep's experiment, making what is missing.

    Args:
        uri: an MLflow server, or a database as a SQLAlchemy URI.
        artifacts: folder of a new experiment's artifacts where ``uri`` is a database; a server has its own.

    Raises:
        InputError: the store cannot be used, or the experiment was deleted in it.
    """
    client, experiment_id = _found(uri, experiment_name)
    try:
        if experiment_id is None:
            location = None if is_server(uri) else (artifacts / experiment_name).as_uri()
            experiment_id = client.create_experiment(experiment_name, artifact_location=location)
        return TrackingStore(client, experiment_id)
    except MlflowException as error:
        raise _unusable(uri, error) from None


def _found(uri: str, experiment_name: str) -> tuple[MlflowClient, str | None]:
    """A client on the store, and the id of the sweep's experiment, ``None`` where there is none yet."""
    client = open_client(uri)
    try:
        experiment = client.get_experiment_by_name(experiment_name)
    except MlflowException as error:
        raise _unusable(uri, error) from None
    if experiment is not None and experiment.lifecycle_stage == "deleted":
        remedy = "was deleted in MLflow; bring it back (`mlflow experiments restore`) or name the sweep otherwise"
        raise InputError(Fault(without_password(uri), "experiment", experiment_name, remedy))
    return client, None if experiment is None else experiment.experiment_id


def open_client(uri: str) -> MlflowClient:
    """A client on a store that answers; a database gets its tables here.

    Raises:
        InputError: no server answers, or the database cannot be opened or is of another MLflow version.
    """
    settle_mlflow()
    uri = login_set_apart(absolute_uri(uri))
    try:
        if not uri.startswith(SQLITE_PREFIX):
            return _answering(uri)
        database = _checked_sqlite(uri)
        # Two processes that migrate a fresh SQLite file race, and the second fails half-way.
        with filelock.FileLock(f"{database}.lock"):
            return _answering(uri)
    except (MlflowException, sqlalchemy.exc.SQLAlchemyError) as error:
        raise _unusable(uri, error) from None


def absolute_uri(uri: str) -> str:
    """``uri`` with the file of an SQLite database made absolute under the current folder."""
    if not uri.startswith(SQLITE_PREFIX):
        return uri
    return SQLITE_PREFIX + str(Path(uri.removeprefix(SQLITE_PREFIX)).absolute())


def is_server(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))


def _answering(uri: str) -> MlflowClient:
    client = MlflowClient(tracking_uri=uri)
    client.search_experiments(max_results=1)
    return client


def _checked_sqlite(uri: str) -> Path:
    """The database file, found usable: MLflow would try an unusable one ten times, for 100 seconds."""
    database = Path(uri.removeprefix(SQLITE_PREFIX))
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        with database.open("ab+") as file:
            file.seek(0)
            header = file.read(16)
    except OSError as error:
        remedy = f"cannot be written ({error.strerror}); name another database"
        raise InputError(Fault(str(database), "tracking.uri", uri, remedy)) from None
    if header not in (b"", b"SQLite format 3\0"):
        raise InputError(Fault(str(database), "tracking.uri", uri, "is not an SQLite database; name another file"))
    return database


def _unusable(uri: str, error: Exception) -> InputError:
    cause = without_password(" ".join(str(error).split()))
    if "out-of-date database schema" in cause:
        remedy = f"was made by another MLflow than {mlflow.__version__}; back it up, then run `mlflow db upgrade {uri}`"
    elif isinstance(error, MlflowException) and error.error_code in LOGIN:
        remedy = f"{LOGIN[error.error_code]} ({cause}); set {USER} and {PASSWORD}"
    else:
        remedy = f"cannot be used as an MLflow store ({cause}); start the server or name another"
    return InputError(Fault("tracking", "tracking.uri", without_password(uri), without_password(remedy)))


def _key_of(run: Run) -> RunKey:
    trial = run.data.tags.get(TAG_TRIAL)
    if trial is None:
        return RunKey(run.data.tags[TAG_STUDENT])
    stage: Stage = "confirm" if run.data.tags.get(TAG_STAGE) == "confirm" else "search"
    return RunKey(run.data.tags[TAG_STUDENT], int(trial), stage)


def _known_from(run: Run) -> _Known:
    recorded = run.data.tags.get(TAG_STATE)
    # A driver that was killed leaves its runs RUNNING with the tag of a running trial; that is what they say.
    state = TrialState(recorded) if recorded in set(TrialState) else None
    if state is not None and state.mlflow != run.info.status:
        state = None
    has_inputs = bool(run.inputs and run.inputs.dataset_inputs)
    return _Known(run.info.run_id, dict(run.data.params), state, list(run.data.metrics), has_inputs=has_inputs)
