"""Confirming a sweep's winners: bringing the record of it up to what the sweep asks for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import ray

from search.confirm.kept import keep_students
from search.confirm.record import ConfirmRecord
from search.confirm.results import Confirmation
from search.home import Home, SweepFolder, open_home
from search.log import EVENTS, logged_to
from search.prepare.shared import Shared, make_shared
from search.propose.rehearsal import load_spaces
from search.record.results import SweepResults, no_such_student
from search.record.states import TrialState
from search.run.profile import Profile
from search.run.resources import start_ray
from search.run.tuning import run_trials
from search.screen.live import Show, shown
from search.screen.steps import Steps, heeding, shown_steps
from search.secret_files import refuse_open_secrets
from search.tracking.artifacts import log_artifacts
from search.tracking.model import winning_model
from search.tracking.provenance import inputs_of
from search.tracking.replay import replay
from search.tracking.store import check_store
from search.tracking.tracker import Tracker
from spaces.errors import COMMAND_LINE, Fault, InputError, gathering, refuse
from spaces.space import Space
from spaces.sweep import SweepConfig


def confirm_sweep(
    name: str,
    student: str | None = None,
    changes: Mapping[str, Any] | None = None,
    steps: Steps = shown_steps,
    show: Show = shown,
) -> SweepResults:
    """Confirm the winners of a recorded sweep, or go on with that; where all is confirmed, nothing is trained.

    Args:
        student: whose winner; none: those that the sweep names.
        changes: dotted keys laid over the recorded sweep, such as ``confirm.seeds``.

    Raises:
        InputError: there is no such sweep or no finished trial in it, its clips or its teacher changed since, or
            another process is at work on it.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    home = open_home()
    folder = home.sweep(name)
    results, profile = SweepResults.read(folder), Profile()
    sweep = _asked(results, student, dict(changes or {}))
    with folder.claimed():
        record = _record(sweep, folder, results, _spaces(sweep))
        if record.n_missing:
            refuse_open_secrets()
            check_store(sweep.tracking.uri or home.tracking_uri, name)
            shared = _unchanged(make_shared(sweep, home, heeding(folder.path, profile.timing(steps))), results)
            try:
                _bring_up(record, shared, home, folder, profile, show)
            finally:
                ray.shutdown()
        results = SweepResults.read(folder)
        if not results.n_unconfirmed:
            log_artifacts(results, home, folder, steps)
    return results


def confirm_searched(
    results: SweepResults, shared: Shared, home: Home, folder: SweepFolder, profile: Profile, show: Show = shown
) -> SweepResults:
    """Confirm what a search has found, as its sweep says, after it and before its driver lets go of it."""
    _bring_up(_record(results.sweep, folder, results, shared.spaces), shared, home, folder, profile, show)
    return SweepResults.read(folder)


def _bring_up(
    record: ConfirmRecord, shared: Shared, home: Home, folder: SweepFolder, profile: Profile, show: Show
) -> None:
    """Run what the record lacks. Ray is started where it does not run, and left running."""
    sweep, facts = record.sweep, shared.facts
    uri, inputs = sweep.tracking.uri or home.tracking_uri, inputs_of(facts)
    with (
        logged_to(folder.log),
        Tracker.open(uri, sweep.name, home.artifacts, folder.spool, "confirm", inputs) as tracker,
    ):
        for student in record.studies:
            tracker.start_student(student)
        replay(tracker, record)
        if record.n_missing:
            EVENTS.info("confirming: the numbers that follow are of its own runs")
            with profile.stage("starting Ray"):
                start_ray(sweep.resources)
            run_trials(record, shared, tracker, folder, profile, show)
        keep_students(map(record.confirmation, record.studies), folder)
        for student in record.studies:
            found = record.confirmation(student)
            state = TrialState.INTERRUPTED if found.n_missing else TrialState.FINISHED
            tracker.end_student(student, summary_metrics(found), state)
            if winning := winning_model(found, sweep, facts, folder):
                tracker.log_model(student, *winning)


def summary_metrics(found: Confirmation) -> dict[str, float]:
    """The winner's means, deviations and gains by the names that MLflow shows them under."""
    winner, told = found.winner, {}
    if winner is None:
        return {}
    for metric in (found.objective.metric, found.objective.test_metric):
        spread = found.spread(winner, metric)
        told[f"confirmed_{metric}"] = spread.mean
        if spread.sd is not None:
            told[f"confirmed_{metric}_sd"] = spread.sd
        for kind, over in found.comparable(winner).items():
            told[f"confirmed_{metric}_gain_over_{kind}"] = found.gain(winner, over, metric).mean
    return told


def _asked(results: SweepResults, student: str | None, changes: dict[str, Any]) -> SweepConfig:
    """The recorded sweep with what is asked of its confirmation."""
    faults: list[Fault] = []
    sweep = results.sweep
    if student and student not in sweep.students:
        faults.append(no_such_student(sweep, student))
    elif student:
        changes = changes | {"confirm.students": [student]}
    with gathering(faults):
        sweep = sweep.overlaid(changes)
    if not any(results.best(each) for each in sweep.confirm.students or sweep.students):
        whose = " or ".join(sweep.confirm.students or ("its students",))
        remedy = f"no trial of {whose} has finished yet; let the sweep run to its end"
        faults.append(Fault(COMMAND_LINE, "NAME", sweep.name, remedy))
    refuse(faults)
    return sweep


def _spaces(sweep: SweepConfig) -> dict[str, Space]:
    """Without the teacher, which takes seconds to load: the spaces say here what a learning rate may be, no more."""
    faults: list[Fault] = []
    spaces = load_spaces(sweep, None, faults)
    refuse(faults)
    return spaces


def _record(
    sweep: SweepConfig, folder: SweepFolder, results: SweepResults, spaces: Mapping[str, Space]
) -> ConfirmRecord:
    finished = {student: results.finished(student) for student in sweep.students}
    return ConfirmRecord(sweep, folder.journal, finished, spaces)


def _unchanged(shared: Shared, results: SweepResults) -> Shared:
    """What is shared, refused where it is not what the search had."""
    facts, noted = shared.facts, results.facts
    same = all(Path(facts[key]).name == Path(noted[key]).name for key in ("corpus", "head"))
    if not same or facts["stream"] != noted.get("stream"):
        remedy = (
            "its clips, views, teacher or stream changed since the search, so its trials cannot be confirmed; "
            "undo the change, or run the sweep anew under another name with --name"
        )
        raise InputError(Fault(COMMAND_LINE, "NAME", results.sweep.name, remedy))
    return shared
