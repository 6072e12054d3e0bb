"""What a sweep came to, as JSON: the ``summary`` event, and ``distune status --json``."""

from dataclasses import asdict
from typing import Any

from search.confirm.results import Confirmation
from search.record.results import SweepResults
from search.record.states import TrialState


def summary_facts(results: SweepResults) -> dict[str, Any]:
    """``sweep``, ``metric``, ``students``, ``spent`` (seconds), ``epochs_saved``, ``epochs_trained``,
    ``trials_left``, ``confirming_left``, ``limit_reached`` and ``stopped`` (when, by the user).

    Each of ``students`` has ``trials`` (state to count), ``trials_left``, ``best`` (``trial``, ``metrics`` of its best
    epoch) and ``confirmed``: ``winner``, ``seeds``, means and deviations of ``metrics``, and ``gains`` over each
    baseline with their 95 % intervals.
    """
    return {
        "sweep": results.sweep.name,
        "metric": results.sweep.objective.metric,
        "students": {student: _student(results, student) for student in results.sweep.students},
        "spent": asdict(results.spent),
        "epochs_saved": results.epochs_saved,
        "epochs_trained": results.epochs_trained,
        "trials_left": results.n_missing,
        "confirming_left": results.n_unconfirmed,
        "limit_reached": results.limit_reached,
        "stopped": results.stopped and results.stopped.isoformat(),
    }


def _student(results: SweepResults, student: str) -> dict[str, Any]:
    states = [TrialState.of_optuna(trial.state) for trial in results.trials.get(student, [])]
    best, confirmed = results.best(student), results.confirmed.get(student)
    return {
        "trials": {str(state): states.count(state) for state in TrialState if state in states},
        "trials_left": results.to_begin[student] + states.count(TrialState.RUNNING),
        "best": best and {"trial": best.number, "objective": best.objective, "metrics": dict(best.metrics)},
        "confirmed": confirmed and _confirmed(confirmed),
    }


def _confirmed(found: Confirmation) -> dict[str, Any]:
    told: dict[str, Any] = {"runs_left": found.n_missing, "failures": list(found.failures), "winner": None}
    if (winner := found.winner) is None:
        return told
    metrics = [found.objective.metric, found.objective.test_metric]
    return told | {
        "winner": winner.name,
        "trial": winner.trial_number,
        "seeds": list(found.seeds),
        "metrics": {metric: asdict(found.spread(winner, metric)) for metric in metrics},
        "gains": {
            kind: {metric: asdict(found.gain(winner, over, metric)) for metric in metrics}
            for kind, over in found.comparable(winner).items()
        },
    }
