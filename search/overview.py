"""The sweeps that there are, a few facts each: those recorded in this home, and those that only MLflow knows of."""

import datetime
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow.entities import Run, ViewType

from search.cluster.notes import Submission
from search.home import Home, SweepFolder
from search.record.results import SweepResults
from search.record.states import TrialState
from search.tracking.store import TAG_STATE, TAG_STUDENT, TAG_TRIAL, open_client
from spaces.errors import InputError
from spaces.secrets import without_password

log = logging.getLogger(__name__)

DEFAULT_EXPERIMENT = "Default"
RUNS_PER_PAGE = 1000
METRIC = "val_pauc"  # which every sweep records, whatever its objective


@dataclass(frozen=True)
class Overview:
    """One sweep at a glance.

    Args:
        state: ``preparing`` (its driver has no trial yet), ``running``, ``stopped`` (by the user), ``interrupted``,
            ``limit`` (a budget is reached), ``finished`` (and not confirmed), ``confirmed``, ``elsewhere``, or
            ``submitted`` (to a cluster, which is not asked).
        ended: trials that are over, and how many there are to be; ``None`` where that is unknown.
        best: student to its best objective.
        when: of its last sign of life.
        store: the MLflow that knows it, of a sweep from elsewhere; the cluster's dashboard, of one submitted there.
    """

    name: str
    state: str
    students: tuple[str, ...] = ()
    ended: int = 0
    target: int | None = None
    metric: str = ""
    best: dict[str, float] = field(default_factory=dict)
    when: datetime.datetime | None = None
    store: str | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {**self.__dict__, "students": list(self.students), "when": self.when and self.when.isoformat()}


def overview(folder: SweepFolder) -> Overview:
    """Of a sweep in this home; of one that is only being prepared, its name and state."""
    driver = folder.driver
    if not folder.exists:
        since = datetime.datetime.fromtimestamp(driver.since).astimezone() if driver else None
        return Overview(folder.path.name, "preparing", when=since)
    results = SweepResults.read(folder)
    best = {student: found.objective for student in results.sweep.students if (found := results.best(student))}
    states = [TrialState.of_optuna(trial.state) for trials in results.trials.values() for trial in trials]
    return Overview(
        results.sweep.name,
        state_of(results, driver is not None),
        tuple(results.sweep.students),
        sum(state.is_over for state in states),
        len(states) + sum(results.to_begin.values()),
        results.sweep.objective.metric,
        best,
        _last_write(folder),
    )


def submitted(submission: Submission) -> Overview:
    """Of a sweep on a cluster, as it is known here."""
    when = datetime.datetime.fromtimestamp(submission.since).astimezone()
    return Overview(submission.name, "submitted", when=when, store=submission.address)


def state_of(results: SweepResults, is_running: bool) -> str:
    """In a word, see `Overview`."""
    if is_running:
        return "running"
    confirmed = bool(results.confirmed) and not results.n_unconfirmed
    if confirmed and not results.n_missing:
        return "confirmed"
    if results.stopped:
        return "stopped"
    if results.n_missing and results.limit_reached:
        return "limit"
    return "interrupted" if results.n_missing or results.n_unconfirmed else "finished"


def elsewhere(home: Home, store: str | None, known: Iterable[str] = ()) -> list[Overview]:
    """Sweeps that MLflow knows of, but for those that are ``known``.

    Args:
        store: an MLflow server or database; none: ``$MLFLOW_TRACKING_URI``, and the home's own.

    Raises:
        InputError: ``store`` cannot be used; what else cannot be used is warned of.
    """
    given = store or os.environ.get("MLFLOW_TRACKING_URI")
    uris = [given] if given else []
    if not store and home.has_store:
        uris.append(home.tracking_uri)
    found: dict[str, Overview] = {}
    for uri in uris:
        try:
            there = _in_store(uri, {*known, *found})
        except InputError as error:
            if store:
                raise
            log.warning("%s", error)
            continue
        found |= {each.name: each for each in there}
    return list(found.values())


def find_elsewhere(home: Home, store: str | None, name: str) -> Overview | None:
    """The sweep of this name that MLflow knows of."""
    return next((found for found in elsewhere(home, store) if found.name == name), None)


def _in_store(uri: str, known: set[str]) -> list[Overview]:
    client = open_client(uri)
    found = []
    for experiment in client.search_experiments(view_type=ViewType.ACTIVE_ONLY):
        if experiment.name == DEFAULT_EXPERIMENT or experiment.name in known:
            continue
        runs = _runs(client, experiment.experiment_id)
        if runs:
            found.append(_of_runs(experiment.name, runs, without_password(uri)))
    return found


def _runs(client: Any, experiment_id: str) -> list[Run]:
    """Those that distune wrote."""
    runs: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment_id], max_results=RUNS_PER_PAGE, page_token=token)
        runs += [run for run in page if TAG_STUDENT in run.data.tags]
        token = page.token
        if not token:
            return runs


def _of_runs(name: str, runs: list[Run], store: str) -> Overview:
    trials = [run for run in runs if TAG_TRIAL in run.data.tags]
    parents = [run for run in runs if TAG_TRIAL not in run.data.tags]
    times = [time for run in runs for time in (run.info.start_time, run.info.end_time) if time]
    best = f"best_{METRIC}"
    over = {str(state) for state in TrialState if state.is_over}
    return Overview(
        name,
        "elsewhere",
        tuple(sorted({run.data.tags[TAG_STUDENT] for run in runs})),
        sum(run.data.tags.get(TAG_STATE) in over for run in trials),
        None,
        METRIC,
        {run.data.tags[TAG_STUDENT]: run.data.metrics[best] for run in parents if best in run.data.metrics},
        datetime.datetime.fromtimestamp(max(times) / 1000).astimezone() if times else None,
        store,
    )


def _last_write(folder: SweepFolder) -> datetime.datetime:
    written = [path.stat().st_mtime for path in (folder.journal, folder.sweep_file) if Path(path).exists()]
    return datetime.datetime.fromtimestamp(max(written)).astimezone()
