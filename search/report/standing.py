"""How far a sweep is, in words, and since when."""

from dataclasses import dataclass

from search.home import SweepFolder
from search.plots.plot import counted
from search.record.results import SweepResults
from search.record.states import TrialState
from spaces.errors import InputError

TIME = "%d %B %Y, %H:%M"


@dataclass(frozen=True)
class Standing:
    """Where a sweep stands.

    Attributes:
        word: running, interrupted, finished, ...
        told: the same as a sentence.
        since: when its first trial began and its last one ended; ``None`` before that.
    """

    word: str
    told: str
    since: str | None


def standing_of(results: SweepResults, folder: SweepFolder) -> Standing:
    return Standing(*_state(results, is_running(folder)), _since(results))


def is_running(folder: SweepFolder) -> bool:
    """Whether a driver is at work on the sweep now."""
    try:
        with folder.claimed():
            return False
    except InputError:
        return True
    except PermissionError:
        return False  # somebody else's record, which only they could be at work on


def _state(results: SweepResults, running: bool) -> tuple[str, str]:
    n_missing, n_unconfirmed = results.n_missing, results.n_unconfirmed
    left = f"{counted(n_missing, 'trial')} {'is' if n_missing == 1 else 'are'} yet to end"
    if running:
        doing = left if n_missing else f"its winners are being confirmed, {counted(n_unconfirmed, 'run')} to go"
        return "running", f"The sweep is running: {doing}. What follows is how it stands now."
    if not any(results.trials.values()):
        return "not begun", "No trial has begun."
    if n_missing and (limit := results.limit_reached):
        return "budget reached", f"The sweep ended at its {limit}; {left}."
    if n_missing:
        return (
            "interrupted",
            f"The sweep was interrupted: {left}; the command that began it goes on. What follows is what there is.",
        )
    if n_unconfirmed:
        command = f"`distune confirm {results.sweep.name}`"
        told = (
            f"The search is finished; confirming its winners is not: {counted(n_unconfirmed, 'run')} to go, {command}."
        )
        return "half confirmed", told
    if any(found.winner for found in results.confirmed.values()):
        return "confirmed", "The search is finished and its winners are confirmed."
    if all(_failed(results, student) for student in results.trials):
        return "failed", "Every trial failed."
    return "finished", "The search is finished; its winners are not confirmed."


def _failed(results: SweepResults, student: str) -> bool:
    return all(TrialState.of_optuna(trial.state) is TrialState.FAILED for trial in results.trials[student])


def _since(results: SweepResults) -> str | None:
    trials = [trial for trials in results.trials.values() for trial in trials]
    began = min((trial.datetime_start for trial in trials if trial.datetime_start), default=None)
    ended = max((trial.datetime_complete for trial in trials if trial.datetime_complete), default=None)
    if began is None:
        return None
    return f"began {began.strftime(TIME)}" + (f"; last trial ended {ended.strftime(TIME)}" if ended else "")
