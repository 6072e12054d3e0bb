"""What a student's parent run says of all its trials, and which trials are worth their size, from the record alone."""

from collections import Counter
from collections.abc import Iterator

from search.confirm.results import family_of
from search.record.budget import HOUR
from search.record.results import SweepResults
from search.record.states import TrialState
from spaces.trial import TrialConfig

TAG_BEST, TAG_ON_FRONT = "distune.best_trial", "distune.on_front"


def search_metrics(results: SweepResults, student: str) -> dict[str, float]:
    """By the names that MLflow shows them under.

    The best trial's metrics as ``best_*``, its gain over the best trial without distillation, trials by state, trials
    on the front of quality and size, epochs trained and those that early stopping saved, hours of the student's
    trials and of the sweep.
    """
    trials = results.trials.get(student, [])
    states = Counter(TrialState.of_optuna(trial.state) for trial in trials)
    epochs = {trial.number: max(trial.intermediate_values, default=0) for trial in trials}
    pruned = [trial for trial in trials if TrialState.of_optuna(trial.state) is TrialState.PRUNED]
    told = {f"trials_{state}": float(n) for state, n in states.items()}
    told["trials_on_front"] = sum(sized.student == student for sized in results.front())
    told["epochs_trained"] = sum(epochs.values())
    told["epochs_saved"] = sum(results.sweep.epochs_of(student) - epochs[trial.number] for trial in pruned)
    told["trial_hours"] = sum(trial.user_attrs.get("seconds", 0.0) for trial in trials) / HOUR
    told["sweep_hours"] = results.spent.wall_seconds / HOUR
    if results.spent.gpu_seconds:
        told["sweep_gpu_hours"] = results.spent.gpu_seconds / HOUR
    return told | _of_the_best(results, student)


def search_tags(results: SweepResults, student: str) -> dict[str, str]:
    """Which trial is the best, and whether one of the student's is on the front of all students'."""
    best = results.best(student)
    on_front = any(sized.student == student for sized in results.front())
    return ({TAG_BEST: str(best.number)} if best else {}) | {TAG_ON_FRONT: str(on_front).lower()}


def front_tags(results: SweepResults) -> Iterator[tuple[str, int, dict[str, str]]]:
    """Of every finished trial, by student and number: whether it is on the front now."""
    front = {(sized.student, sized.number) for sized in results.front()}
    for student in results.trials:
        for trial in results.finished(student):
            yield student, trial.number, {TAG_ON_FRONT: str((student, trial.number) in front).lower()}


def _of_the_best(results: SweepResults, student: str) -> dict[str, float]:
    best = results.best(student)
    if best is None:
        return {}
    told = {f"best_{name}": value for name, value in best.metrics.items()}
    undistilled = [
        trial.values[0]
        for trial in results.finished(student)
        if family_of(TrialConfig.from_flat(trial.user_attrs["config"])) == "no_distillation"
    ]
    if undistilled:
        # The best comes first, and whatever the objective, a gain is positive.
        told["gain_over_no_distillation"] = results.sweep.objective.sign * (best.objective - undistilled[0])
    return told
