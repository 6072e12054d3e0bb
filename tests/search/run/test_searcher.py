from types import SimpleNamespace

from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from search.driver import be_driver
from search.record.states import TrialState
from search.run.halt import Halt
from search.run.scheduler import StudentLadders, restored_ladders
from search.run.searcher import SweepSearcher
from search.run.sharing import Sharing
from tests.search.searchers import RESOURCES, SHARED, searcher_of


def suggested(searcher: SweepSearcher, n: int) -> list:
    return [searcher.suggest(f"tune-{index}") for index in range(n)]


def test_the_student_furthest_from_its_target_goes_first(recorded):
    record = recorded.open({"students.tiny_conv.trials": 4, "students.mobilenetv3.trials": 2})
    students = [config["student"] for config in suggested(searcher_of(record), 6)]
    # Shares still missing, tiny_conv and mobilenetv3: 1, 1; 3/4, 1; 3/4, 1/2; 2/4, 1/2; 1/4, 1/2; 1/4, 0.
    assert students == ["tiny_conv", "mobilenetv3", "tiny_conv", "tiny_conv", "mobilenetv3", "tiny_conv"]


def test_a_suggestion_is_all_that_a_worker_needs(recorded):
    record = recorded.open()
    suggestion = searcher_of(record).suggest("tune-0")
    config = record.trials("tiny_conv")[0].user_attrs["config"]
    own = {"student": "tiny_conv", "number": 0, "trial": config, "resume_from": None, "reported": 0}
    own["reads_test"] = False
    own["resources"] = RESOURCES
    assert suggestion == SHARED | own


def test_trials_left_running_go_on_before_new_ones_begin(recorded, tmp_path):
    dead = recorded.open()
    for student in ("mobilenetv3", "tiny_conv"):
        dead.propose(student)
        dead.report(student, 0, 1, 0.5)
    dead.note("mobilenetv3", 0, "checkpoint", str(tmp_path))
    beginning_again, going_on = suggested(searcher_of(recorded.open()), 2)
    assert [going_on["student"], going_on["number"], going_on["resume_from"], going_on["reported"]] == [
        "mobilenetv3", 0, str(tmp_path), 1,
    ]  # fmt: skip
    # Without a checkpoint its epochs are trained again.
    assert [beginning_again["student"], beginning_again["resume_from"], beginning_again["reported"]] == [
        "tiny_conv", None, 0,
    ]  # fmt: skip


def test_new_trials_follow_those_left_running(recorded):
    recorded.open().propose("tiny_conv")
    numbers = [(config["student"], config["number"]) for config in suggested(searcher_of(recorded.open()), 4)]
    assert numbers == [("tiny_conv", 0), ("mobilenetv3", 0), ("tiny_conv", 1), ("mobilenetv3", 1)]


def test_a_student_whose_next_trial_hangs_on_others_leaves_the_turn_to_another(recorded, monkeypatch):
    record = recorded.open()
    propose = record.propose
    monkeypatch.setattr(record, "propose", lambda student: None if student == "tiny_conv" else propose(student))
    searcher = searcher_of(record)
    assert [config and config["student"] for config in suggested(searcher, 4)] == [*["mobilenetv3"] * 3, None]
    for number in range(3):
        searcher.on_trial_complete(f"tune-{number}")
    assert searcher.suggest("tune-4") == Searcher.FINISHED, "nothing is at work that it could hang on"


def test_a_sweep_at_its_target_is_finished(recorded, end_trial):
    record = recorded.open({"budget.trials": 1})
    end_trial(record, "tiny_conv", [0.5])
    end_trial(record, "mobilenetv3", [], TrialState.FAILED)
    assert searcher_of(record).suggest("tune-0") == Searcher.FINISHED
    assert len(record.trials("tiny_conv")) == len(record.trials("mobilenetv3")) == 1


def test_a_sweep_is_finished_when_its_last_trials_are_over(recorded):
    searcher = searcher_of(recorded.open({"budget.trials": 1}))
    # While they run, one may run out of memory and come back.
    assert suggested(searcher, 3)[2] is None
    searcher.on_trial_complete("tune-0")
    assert searcher.suggest("tune-3") is None
    searcher.on_trial_complete("tune-1")
    assert searcher.suggest("tune-3") == Searcher.FINISHED


def test_a_trial_out_of_memory_comes_back_with_twice_the_share(recorded):
    searcher = searcher_of(recorded.open({"budget.trials": 1}))
    first, _ = suggested(searcher, 2)
    assert searcher.enlarge("tiny_conv", 0, {"gpu": 0.25})
    searcher.run_again("tiny_conv", 0)
    again = searcher.suggest("tune-2")
    assert again == first | {"resources": {"cpu": 1, "gpu": 0.5}}


def test_a_trial_out_of_a_whole_gpu_s_memory_does_not_come_back(recorded):
    searcher = searcher_of(recorded.open({"budget.trials": 1}))
    suggested(searcher, 2)
    assert not searcher.enlarge("tiny_conv", 0, {"gpu": 1.0})
    assert searcher.suggest("tune-2") is None


def test_trials_give_way_when_another_sweep_comes_and_are_begun_again_when_it_goes(recorded, tmp_path):
    own, other = recorded.folder.path, tmp_path / "second"
    searcher = searcher_of(recorded.open(), Sharing(own, "cluster", priority=1))
    assert [config is not None for config in suggested(searcher, 5)] == [True] * 4 + [False]
    assert not searcher.gives_way() and not searcher.lets_go
    with be_driver(own), be_driver(other):
        coming = Sharing(other, "cluster", priority=3)
        assert coming.part(slots=4, wanted=9, used={}) == 3
        assert searcher.gives_way()
        for number in range(3):
            searcher.on_trial_complete(f"tune-{number}")
        assert not searcher.gives_way() and searcher.suggest("tune-5") is None
        assert searcher.lets_go, "an idle worker is of use to the other"
        coming.close()
    assert searcher.suggest("tune-6") is not None


def test_trials_stop_and_none_begins_once_the_user_wants_an_end(recorded):
    searcher = searcher_of(recorded.open())
    searcher.halt = Halt(lambda: True)
    assert searcher.gives_way() and searcher.suggest("tune-0") is None


def test_a_trial_that_gives_way_is_stopped_at_the_end_of_an_epoch_but_for_its_last(recorded):
    record = recorded.open()
    searcher = searcher_of(record)
    ladders = StudentLadders(restored_ladders(record), "val_pauc", searcher)
    trial = SimpleNamespace(config=searcher.suggest("tune-0"))
    key = trial.config["student"], trial.config["number"]

    def told(epoch: int) -> str:
        return ladders.on_trial_result(None, trial, {"epoch": epoch, "val_pauc": 0.5, "done": epoch == 9})

    assert told(1) == TrialScheduler.CONTINUE
    searcher.gives_way = lambda: True
    assert told(9) == TrialScheduler.CONTINUE and not ladders.gave_way
    assert told(2) == TrialScheduler.STOP and ladders.gave_way == {key}
    assert key not in ladders.stopped_at, "early stopping has nothing to do with it"
