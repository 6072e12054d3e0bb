import optuna
import pytest

from search.record.states import TrialState


@pytest.mark.parametrize(
    ("state", "optuna_name", "mlflow_status"),
    [
        (TrialState.RUNNING, "RUNNING", "RUNNING"),
        (TrialState.FINISHED, "COMPLETE", "FINISHED"),
        (TrialState.PRUNED, "PRUNED", "KILLED"),
        (TrialState.FAILED, "FAIL", "FAILED"),
        (TrialState.INTERRUPTED, "RUNNING", "KILLED"),
    ],
)
def test_a_state_has_one_counterpart_in_optuna_and_one_in_mlflow(state, optuna_name, mlflow_status):
    assert (state.optuna.name, state.mlflow) == (optuna_name, mlflow_status)


def test_every_state_that_is_over_comes_back_from_optuna_as_itself():
    over = [state for state in TrialState if state.is_over]
    assert over == [TrialState.FINISHED, TrialState.PRUNED, TrialState.FAILED]
    assert [TrialState.of_optuna(state.optuna) for state in over] == over


def test_a_trial_that_a_dead_driver_left_behind_reads_as_running():
    assert TrialState.of_optuna(optuna.trial.TrialState.RUNNING) is TrialState.RUNNING


def test_an_enqueued_trial_has_no_state_yet():
    with pytest.raises(ValueError, match="WAITING has not started"):
        TrialState.of_optuna(optuna.trial.TrialState.WAITING)
