"""What parent runs say of a search, against a record whose figures can be counted by hand."""

from dataclasses import replace

import pytest

from search.record.results import SweepResults
from search.record.states import TrialState
from search.tracking.summary import front_tags, search_metrics, search_tags


@pytest.fixture
def results(recorded, end_trial):
    """Of tiny_conv: 0.5 without distillation, 0.8 with, one of 0.3 stopped after 2 of 9 epochs; of mobilenetv3 one."""

    def read(changes=None) -> SweepResults:
        record = recorded.open(changes)
        # The known points come in this order.
        for objectives, state in (
            ([0.2, 0.5], TrialState.FINISHED),
            ([0.8] * 9, TrialState.FINISHED),
            ([0.3] * 2, TrialState.PRUNED),
        ):
            end_trial(record, "tiny_conv", objectives, state, notes={"seconds": 1800.0})
        end_trial(record, "mobilenetv3", [0.7])
        recorded.folder.write(record.sweep, {})
        return SweepResults.read(recorded.folder)

    return read


def test_a_student_is_summed_up_by_its_trials(results):
    told = search_metrics(results(), "tiny_conv")
    assert (told["trials_finished"], told["trials_pruned"]) == (2, 1)
    assert (told["epochs_trained"], told["epochs_saved"]) == (2 + 9 + 2, 9 - 2)
    assert told["trial_hours"] == 1.5 and "sweep_gpu_hours" not in told
    assert (told["best_val_pauc"], told["best_epoch"]) == (0.8, 1)
    assert told["gain_over_no_distillation"] == pytest.approx(0.3)


def test_a_gain_is_positive_where_less_is_better_too(results):
    told = search_metrics(results({"objective.metric": "val_eer"}), "tiny_conv")
    assert told["best_val_eer"] == 0.2 and told["gain_over_no_distillation"] == 0.0


def test_without_an_undistilled_trial_there_is_no_gain_and_without_a_trial_no_best(results):
    found = results()
    taught = replace(found, trials={"tiny_conv": found.trials["tiny_conv"][1:]})
    assert "gain_over_no_distillation" not in search_metrics(taught, "tiny_conv")
    empty = SweepResults(found.sweep, {}, trials={}, to_begin={})
    assert not any(name.startswith("best_") for name in search_metrics(empty, "tiny_conv"))


def test_trials_and_students_say_whether_they_are_worth_their_size(results):
    found = results()
    # The smaller student is better too, so the larger one has nothing on the front.
    assert search_tags(found, "tiny_conv") == {"distune.best_trial": "1", "distune.on_front": "true"}
    assert search_tags(found, "mobilenetv3") == {"distune.best_trial": "0", "distune.on_front": "false"}
    on_front = {(student, number): tags["distune.on_front"] for student, number, tags in front_tags(found)}
    assert on_front == {("tiny_conv", 0): "false", ("tiny_conv", 1): "true", ("mobilenetv3", 0): "false"}
    assert [search_metrics(found, student)["trials_on_front"] for student in found.trials] == [1, 0]
