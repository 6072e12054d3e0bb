from search.record.states import TrialState
from search.tracking.batch import Batch, Point, RunKey, unwritten


def point(metric: str, step: int, value: float = 0.5) -> Point:
    return Point(metric, value, step, time_ms=1)


def test_runs_are_named_after_student_and_trial():
    assert RunKey("tiny_conv").name == "tiny_conv"
    assert RunKey("tiny_conv", 3).name == "tiny_conv-003"
    assert RunKey("tiny_conv", 3, "confirm").name == "tiny_conv-confirm-003"


def test_a_merged_batch_keeps_first_params_and_latest_tags_and_state():
    key = RunKey("tiny_conv", 0)
    first = Batch(key, 1, params={"seed": "0"}, tags={"t": "old"}, state=TrialState.RUNNING, state_ms=1)
    first.absorb(Batch(key, 2, points=[point("f1", 1)]))
    first.absorb(Batch(key, 3, params={"seed": "9"}, tags={"t": "new"}, state=TrialState.FINISHED, state_ms=3))
    assert first == Batch(
        key, 1, {"seed": "0"}, {"t": "new"}, [point("f1", 1)], TrialState.FINISHED, state_ms=3
    )  # fmt: skip


def test_points_up_to_the_last_written_step_of_their_metric_are_left_out():
    points = [point("f1", 3), point("f1", 4), point("loss", 3)]
    assert unwritten(points, {"f1": 3}) == [point("f1", 4), point("loss", 3)]


def test_the_first_report_of_an_epoch_stands():
    points = [point("f1", 1, 0.1), point("f1", 2, 0.2), point("f1", 1, 0.9), point("f1", 2, 0.9), point("f1", 3, 0.3)]
    assert [new.value for new in unwritten(points, {})] == [0.1, 0.2, 0.3]


def test_epoch_zero_is_a_step_like_any_other():
    assert unwritten([point("f1", 0)], {}) == [point("f1", 0)]
