"""Hours and cost of a sweep, on a real journal file and a clock that the test winds."""

import pytest

from search.record.budget import Spent
from search.record.results import SweepResults
from search.record.states import TrialState
from search.run.meter import Meter
from search.run.progress import Progress
from search.screen.summary import print_summary
from spaces.sections import Budget
from spaces.sweep import SweepConfig

TINY, OTHER = ("tiny_conv", 0), ("mobilenetv3", 0)


class Clock:
    """Seconds, wound by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def metered(record, clock: Clock) -> tuple[Meter, Progress]:
    meter = Meter(record, clock)
    return meter, Progress(record, meter, clock)


def recorded_spent(record) -> Spent:
    return Spent.recorded(record.storage, "first")


@pytest.mark.parametrize(
    ("budget", "spent", "limit"),
    [
        ({"hours": 2}, Spent(wall_seconds=7199), None),
        ({"hours": 2}, Spent(wall_seconds=7200), "budget.hours"),
        ({"gpu_hours": 1}, Spent(wall_seconds=7200, gpu_seconds=3599), None),
        ({"gpu_hours": 1}, Spent(wall_seconds=7200, gpu_seconds=3600), "budget.gpu_hours"),
        ({"price_per_hour": 3, "cost": 6}, Spent(wall_seconds=7199), None),
        ({"price_per_hour": 3, "cost": 6}, Spent(wall_seconds=7200), "budget.cost"),
        ({"price_per_hour": 3}, Spent(wall_seconds=7200), None),
        ({}, Spent(wall_seconds=1e9, gpu_seconds=1e9), None),
    ],
)
def test_a_limit_is_reached_when_so_much_is_spent(budget, spent, limit):
    assert spent.reached(Budget(**budget)) == limit


def test_a_cost_is_wall_hours_at_the_price(recorded):
    assert Spent(wall_seconds=5400).cost(Budget(price_per_hour=4)) == 6
    assert Spent(wall_seconds=5400).cost(Budget()) is None


def test_a_largest_cost_without_a_price_is_refused():
    tree = {"name": "first", "data": {"path": "clips"}, "students": ["tiny_conv"], "budget": {"cost": 5}}
    with pytest.raises(ValueError, match="cost without a price limits nothing; set price_per_hour"):
        SweepConfig.model_validate(tree)


def test_gpu_seconds_are_seconds_of_trials_times_their_shares(recorded, clock):
    record = recorded.open()
    for student, _ in (TINY, OTHER):
        record.propose(student)
    meter, progress = metered(record, clock)
    progress.started(TINY, gpu=0.25)
    clock.now = 10
    progress.started(OTHER, gpu=0.5)
    clock.now = 30
    assert meter.spent == Spent(wall_seconds=30, gpu_seconds=0.25 * 30 + 0.5 * 20)
    progress.ended(TINY)
    clock.now = 40
    assert meter.spent == Spent(wall_seconds=40, gpu_seconds=0.25 * 30 + 0.5 * 30)
    progress.ended(OTHER)
    meter.keep()
    assert recorded_spent(recorded.open()) == meter.spent


def test_what_earlier_runs_spent_counts_and_a_trial_adds_to_its_seconds(recorded, clock):
    for _ in range(2):
        record = recorded.open()
        if not record.trials("tiny_conv"):
            record.propose("tiny_conv")
        meter, progress = metered(record, clock)
        progress.started(TINY, gpu=0.5)
        clock.now += 100
        progress.ended(TINY)
        meter.keep()
    assert record.noted(*TINY, "seconds") == 200
    assert Meter(recorded.open(), clock).spent == Spent(wall_seconds=200, gpu_seconds=100)


def test_a_killed_driver_loses_ten_seconds_at_most(recorded, clock):
    record = recorded.open()
    record.propose("tiny_conv")
    meter, progress = metered(record, clock)
    progress.started(TINY, gpu=1.0)
    for clock.now in range(1, 28):
        progress.reported(TINY, {})
        assert not meter.stop_all()
    assert recorded_spent(recorded.open()) == Spent(wall_seconds=20, gpu_seconds=20)


def test_a_run_stops_when_its_budget_is_reached_and_goes_on_with_a_larger_one(recorded, clock):
    meter = Meter(recorded.open({"budget.hours": 1}), clock)
    clock.now = 3599
    assert not meter.stop_all()
    clock.now = 3600
    assert meter.stop_all()
    meter.keep()
    assert Meter(recorded.open({"budget.hours": 1}), clock).stop_all()
    assert not Meter(recorded.open({"budget.hours": 2}), clock).stop_all()


def test_hours_of_a_student_that_the_sweep_has_no_longer_still_count(recorded, clock):
    meter = Meter(recorded.open(), clock)
    clock.now = 50
    meter.keep()
    without = type(recorded)(recorded.folder, students=("mobilenetv3",)).open()
    assert recorded_spent(without) == Spent(wall_seconds=50)


def test_the_first_and_last_alignment_loss_are_noted_across_runs(recorded, clock):
    record = recorded.open()
    record.propose("tiny_conv")
    for losses in ([4.0, 3.0], [2.0, 2.5]):
        _, progress = metered(record, clock)
        progress.started(TINY, gpu=0.0)
        for loss in losses:
            progress.reported(TINY, {"train_alignment_loss": loss})
        progress.ended(TINY)
        record = recorded.open()
    assert record.noted(*TINY, "alignment") == [4.0, 2.5]


def test_a_trial_without_alignment_has_no_note_of_it(recorded, clock):
    record = recorded.open()
    record.propose("tiny_conv")
    _, progress = metered(record, clock)
    progress.started(TINY, gpu=0.0)
    progress.reported(TINY, {"train_loss": 1.0})
    progress.ended(TINY)
    record.end(*TINY, TrialState.FAILED)
    assert record.noted(*TINY, "alignment") is None


def test_the_summary_says_what_was_spent_and_saved_which_limit_is_reached_and_what_to_type(
    recorded, end_trial, capsys, monkeypatch, tmp_path
):
    monkeypatch.setenv("DISTUNE_HOME", str(tmp_path / "home"))
    record = recorded.open({"budget.hours": 1.5, "budget.price_per_hour": 2.0})
    end_trial(record, "tiny_conv", [0.5] * 9, notes={"seconds": 3600.0, "gpu": 0.5})
    end_trial(record, "tiny_conv", [0.4] * 3, TrialState.PRUNED)
    record.studies["tiny_conv"].set_user_attr("wall_seconds", 5400.0)
    metrics = {"val": {"pauc": 0.9, "f1": 0.8}}
    recorded.folder.write(record.sweep, {"teacher_metrics": metrics})
    print_summary(SweepResults.read(recorded.folder), again="distune sweep first.yaml")
    lines = capsys.readouterr().out.splitlines()
    spent = "spent: 1.50 hours, 0.50 GPU hours, cost 3.00, early stopping saved 6 of 18 epochs (33%)"
    assert spent in lines
    assert (
        "budget.hours = 1.5 is reached; trials yet to end: 4; "
        "go on with: distune sweep first.yaml --set budget.hours=MORE"
    ) in lines
