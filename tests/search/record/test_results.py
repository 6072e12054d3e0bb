from dataclasses import replace

import pytest

from search.confirm.results import Arm, Confirmation
from search.home import SweepFolder
from search.record.budget import Spent
from search.record.results import SweepResults
from search.record.states import TrialState
from spaces.errors import InputError

FACTS = {"corpus": "corpora/1", "head": "head", "teachers": {}, "teacher_metrics": {}}


def results_of(record, folder: SweepFolder) -> SweepResults:
    folder.write(record.sweep, FACTS)
    return SweepResults.read(folder)


def test_a_frame_has_a_row_a_trial_with_its_state_keys_and_best_metrics(recorded, end_trial):
    record = recorded.open()
    end_trial(record, "tiny_conv", [0.5, 0.8, 0.7])
    end_trial(record, "tiny_conv", [0.4], TrialState.PRUNED)
    end_trial(record, "mobilenetv3", [], TrialState.FAILED, {"reason": "student_loss not finite"})
    record.propose("mobilenetv3")
    frame = results_of(record, recorded.folder).frame()
    assert frame["student"].tolist() == ["tiny_conv", "tiny_conv", "mobilenetv3", "mobilenetv3"]
    assert frame["number"].tolist() == [0, 1, 0, 1]
    assert frame["state"].tolist() == ["finished", "pruned", "failed", "running"]
    assert frame["known_point"].tolist() == ["no_distillation", "guide"] * 2
    assert frame["epochs"].tolist() == [3, 1, 0, 0]
    assert frame["epoch"].tolist()[:2] == [2, 1]
    assert frame["val_pauc"].tolist()[:2] == [0.8, 0.4]
    assert frame["val_pauc"].isna().tolist() == [False, False, True, True]
    assert frame["reason"].tolist()[2] == "student_loss not finite"
    assert frame["distillation.alpha"].tolist()[1] == 0.7
    assert set(record.trials("tiny_conv")[0].user_attrs["config"]) <= set(frame.columns)


def test_the_best_trial_is_one_that_ran_to_its_end(recorded, end_trial):
    record = recorded.open()
    end_trial(record, "tiny_conv", [0.5, 0.6])
    end_trial(record, "tiny_conv", [0.9], TrialState.PRUNED)
    notes = {"checkpoint": "ray/checkpoint_000001"}
    finished = end_trial(record, "tiny_conv", [0.7, 0.65], notes=notes)
    best = results_of(record, recorded.folder).best("tiny_conv")
    assert (best.student, best.number, best.objective, best.config) == ("tiny_conv", 2, 0.7, finished.config)
    assert best.metrics == {"val_pauc": 0.7, "val_f1": 0.5, "epoch": 1}
    assert best.checkpoint == "ray/checkpoint_000001"


def test_a_tie_goes_to_the_earlier_trial(recorded, end_trial):
    record = recorded.open()
    for value in (0.5, 0.7, 0.7):
        end_trial(record, "tiny_conv", [value])
    assert results_of(record, recorded.folder).best("tiny_conv").number == 1


def test_where_less_is_better_the_smallest_wins(recorded, end_trial):
    record = recorded.open({"objective.metric": "val_eer"})
    for value in (0.3, 0.1, 0.2):
        end_trial(record, "tiny_conv", [value])
    end_trial(record, "mobilenetv3", [0.05])
    results = results_of(record, recorded.folder)
    assert (results.best("tiny_conv").objective, results.winner().student) == (0.1, "mobilenetv3")


def test_the_winner_of_a_tie_is_the_student_named_first(recorded, end_trial):
    record = recorded.open()
    end_trial(record, "mobilenetv3", [0.7])
    end_trial(record, "tiny_conv", [0.7])
    assert results_of(record, recorded.folder).winner().student == "tiny_conv"


def test_without_a_finished_trial_there_is_no_best(recorded, end_trial):
    record = recorded.open()
    end_trial(record, "tiny_conv", [0.9], TrialState.PRUNED)
    results = results_of(record, recorded.folder)
    assert results.best("tiny_conv") is None
    assert results.winner() is None


def test_trials_that_run_or_are_only_enqueued_are_missing_still(recorded, end_trial):
    record = recorded.open()
    end_trial(record, "tiny_conv", [0.9])
    record.propose("tiny_conv")
    results = results_of(record, recorded.folder)
    assert [len(trials) for trials in results.trials.values()] == [2, 0]
    assert results.n_missing == 5


def test_what_is_exported_is_the_confirmed_winner_before_a_better_one_that_is_not(recorded, end_trial):
    record = recorded.open()
    ours = end_trial(record, "tiny_conv", [0.7])
    end_trial(record, "mobilenetv3", [0.9])
    results = results_of(record, recorded.folder)
    assert results.to_export().student == "mobilenetv3"
    runs = {seed: {"val_pauc": value} for seed, value in ((7, 0.6), (8, 0.65))}
    arm = Arm("trial 0", "candidate", 0, ours.config, runs, {8: "ray/8"})
    found = Confirmation("tiny_conv", record.sweep.objective, (arm,))
    confirmed = replace(results, confirmed={"tiny_conv": found})
    best = confirmed.to_export()
    assert (best.student, best.number, best.objective, best.checkpoint) == ("tiny_conv", 0, 0.65, "ray/8")
    assert best.config == ours.config.model_copy(update={"seed": 8}) and best.confirmation is found
    half = replace(results, confirmed={"tiny_conv": replace(found, n_missing=1)})
    assert half.to_export("tiny_conv").confirmation is None, "what is half confirmed is not"
    assert confirmed.to_export("mobilenetv3").objective == 0.9
    assert confirmed.best("tiny_conv").objective == 0.7


def test_a_sweep_that_was_never_run_is_refused(recorded):
    with pytest.raises(InputError, match="is not recorded here"):
        SweepResults.read(recorded.folder)


def test_results_say_what_early_stopping_saved(recorded, end_trial):
    record = recorded.open()
    end_trial(record, "tiny_conv", [0.5] * 9)
    end_trial(record, "tiny_conv", [0.4], TrialState.PRUNED)
    end_trial(record, "mobilenetv3", [0.4] * 3, TrialState.PRUNED)
    end_trial(record, "mobilenetv3", [0.1] * 2, TrialState.FAILED)
    results = results_of(record, recorded.folder)
    # Of nine epochs, one trial was stopped after 1 and one after 3; what a crash left undone is no saving.
    assert (results.epochs_trained, results.epochs_saved) == (9 + 1 + 3 + 2, 8 + 6)


def test_results_say_what_was_spent_and_which_limit_that_reaches(recorded, end_trial):
    record = recorded.open({"budget.hours": 1.5})
    end_trial(record, "tiny_conv", [0.5], notes={"seconds": 3600.0, "gpu": 0.5})
    record.studies["tiny_conv"].set_user_attr("wall_seconds", 5400.0)
    results = results_of(record, recorded.folder)
    assert results.spent == Spent(wall_seconds=5400, gpu_seconds=1800)
    assert results.limit_reached == "budget.hours"
