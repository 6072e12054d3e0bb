"""Telling MLflow what the record knows: it mends what a killed driver left unwritten."""

from optuna.trial import FrozenTrial

from search.propose.sizes import size_params
from search.record.states import TrialState
from search.record.trials import TrialRecord
from search.tracking.tracker import Tracker


def replay(tracker: Tracker, record: TrialRecord) -> None:
    """Replay all trials but those whose end MLflow has; what it has of the others already stands."""
    for student in record.studies:
        for trial in record.trials(student):
            if not tracker.knows_end_of(student, trial.number):
                _tell(tracker, record, student, trial)


def _tell(tracker: Tracker, record: TrialRecord, student: str, trial: FrozenTrial) -> None:
    state, attrs = TrialState.of_optuna(trial.state), trial.user_attrs
    params = attrs["config"] | size_params(attrs["config"]) if "config" in attrs else {}
    tracker.start_trial(student, trial.number, params, record.tags(student, trial.number))
    for epoch, value in sorted(trial.intermediate_values.items()):
        tracker.log_epoch(student, trial.number, epoch, {record.sweep.objective.metric: value})
    if state.is_over:
        best = {f"best_{name}": value for name, value in attrs.get("best", {}).items()}
        metrics = best | attrs.get("test", {})
        tracker.end_trial(student, trial.number, state, metrics=metrics, reason=attrs.get("reason"))
