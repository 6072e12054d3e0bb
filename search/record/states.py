"""The state of a trial, one word from Optuna to MLflow to the live table."""

from enum import StrEnum

from optuna.trial import TrialState as OptunaState


class TrialState(StrEnum):
    """How a trial stands.

    ``INTERRUPTED`` is not an end: the trial goes on when the sweep is resumed, so Optuna keeps it RUNNING;
    MLflow, where nobody is at work on it any more, shows KILLED with the tag ``distune.state=interrupted``.
    """

    RUNNING = "running"
    FINISHED = "finished"
    PRUNED = "pruned"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def is_over(self) -> bool:
        """Whether the trial will never report again."""
        return self in (TrialState.FINISHED, TrialState.PRUNED, TrialState.FAILED)

    @property
    def optuna(self) -> OptunaState:
        return _OPTUNA[self]

    @property
    def mlflow(self) -> str:
        """The status of an MLflow run."""
        return _MLFLOW[self]

    @classmethod
    def of_optuna(cls, state: OptunaState) -> "TrialState":
        """What a recorded Optuna trial is to us; one left RUNNING by a dead driver reads as running.

        Raises:
            ValueError: the trial is only enqueued, so it has no state yet.
        """
        for ours, theirs in _OPTUNA.items():
            if theirs == state:
                return ours
        raise ValueError(f"an Optuna trial in state {state.name} has not started; ask again once it runs")


_OPTUNA = {
    TrialState.RUNNING: OptunaState.RUNNING,
    TrialState.FINISHED: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
    TrialState.INTERRUPTED: OptunaState.RUNNING,
}
_MLFLOW = {
    TrialState.RUNNING: "RUNNING",
    TrialState.FINISHED: "FINISHED",
    TrialState.PRUNED: "KILLED",
    TrialState.FAILED: "FAILED",
    TrialState.INTERRUPTED: "KILLED",
}
