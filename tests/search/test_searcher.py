from ray.tune.search import Searcher

from search.searcher import SweepSearcher
from search.states import TrialState

SHARED = {"corpus": "corpora/1", "head": "head", "objective": {"metric": "val_pauc"}, "checkpoint_epochs": 5}


def suggested(searcher: SweepSearcher, n: int) -> list:
    return [searcher.suggest(f"tune-{index}") for index in range(n)]


def test_the_student_furthest_from_its_target_goes_first(recorded):
    record = recorded.open({"students.tiny_conv.trials": 4, "students.mobilenetv3.trials": 2})
    students = [config["student"] for config in suggested(SweepSearcher(record, SHARED), 6)]
    # Shares still missing, tiny_conv and mobilenetv3: 1, 1; 3/4, 1; 3/4, 1/2; 2/4, 1/2; 1/4, 1/2; 1/4, 0.
    assert students == ["tiny_conv", "mobilenetv3", "tiny_conv", "tiny_conv", "mobilenetv3", "tiny_conv"]


def test_a_suggestion_is_all_that_a_worker_needs(recorded):
    record = recorded.open()
    suggestion = SweepSearcher(record, SHARED).suggest("tune-0")
    config = record.trials("tiny_conv")[0].user_attrs["config"]
    own = {"student": "tiny_conv", "number": 0, "trial": config, "resume_from": None, "reported": 0}
    assert suggestion == SHARED | own


def test_trials_left_running_go_on_before_new_ones_begin(recorded, tmp_path):
    dead = recorded.open()
    for student in ("mobilenetv3", "tiny_conv"):
        dead.propose(student)
        dead.report(student, 0, 1, 0.5)
    dead.note("mobilenetv3", 0, "checkpoint", str(tmp_path))
    beginning_again, going_on = suggested(SweepSearcher(recorded.open(), SHARED), 2)
    assert [going_on["student"], going_on["number"], going_on["resume_from"], going_on["reported"]] == [
        "mobilenetv3", 0, str(tmp_path), 1,
    ]  # fmt: skip
    # Without a checkpoint its epochs are trained again.
    assert [beginning_again["student"], beginning_again["resume_from"], beginning_again["reported"]] == [
        "tiny_conv", None, 0,
    ]  # fmt: skip


def test_new_trials_follow_those_left_running(recorded):
    recorded.open().propose("tiny_conv")
    numbers = [(config["student"], config["number"]) for config in suggested(SweepSearcher(recorded.open(), SHARED), 4)]
    assert numbers == [("tiny_conv", 0), ("mobilenetv3", 0), ("tiny_conv", 1), ("mobilenetv3", 1)]


def test_a_sweep_at_its_target_is_finished(recorded, end_trial):
    record = recorded.open({"budget.trials": 1})
    end_trial(record, "tiny_conv", [0.5])
    end_trial(record, "mobilenetv3", [], TrialState.FAILED)
    assert SweepSearcher(record, SHARED).suggest("tune-0") == Searcher.FINISHED
    assert len(record.trials("tiny_conv")) == len(record.trials("mobilenetv3")) == 1


def test_a_sweep_is_finished_while_its_last_trials_run(recorded):
    searcher = SweepSearcher(recorded.open({"budget.trials": 1}), SHARED)
    assert suggested(searcher, 3)[2] == Searcher.FINISHED
