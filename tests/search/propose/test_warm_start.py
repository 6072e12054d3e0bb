"""Studies that start from the best trials of earlier ones, on real journals."""

import pytest

from search.home import Home
from search.propose.draw import distributions_of
from search.propose.view import outside
from search.propose.warm_start import project, read_sources
from search.record.results import SweepResults
from search.record.states import TrialState
from spaces.errors import InputError
from spaces.space import Space
from spaces.trial import TrialConfig
from tests.search.conftest import SPACE, RecordedSweep

FACTS = {"corpus": "corpora/1", "head": "head", "teachers": {}, "teacher_metrics": {}}
TINY = Space.load("tiny_conv")


@pytest.fixture
def earlier(tmp_path, end_trial) -> Home:
    """A home with a sweep ``first``, of which tiny_conv finished five trials, and mobilenetv3 one pruned."""
    home = Home(tmp_path)
    swept = RecordedSweep(home.sweep("first"))
    record = swept.open({"budget.trials": 5})
    for value in (0.5, 0.4, 0.9, 0.7, 0.8):
        end_trial(record, "tiny_conv", [value])
    end_trial(record, "mobilenetv3", [0.95], TrialState.PRUNED)
    home.sweep("first").write(record.sweep, FACTS)
    return home


class Started:
    """A sweep ``second`` that starts from ``first``."""

    def __init__(self, home: Home) -> None:
        self.home, self.folder = home, home.sweep("second")
        self.swept = RecordedSweep(self.folder)

    def open(self, *sources: str, **changes):
        changes = {"name": "second", "search.warm_start": list(sources)} | changes
        sweep = self.swept.open(changes).sweep
        record = self.swept.open(changes, sources=read_sources(sweep, self.home))
        self.folder.write(sweep, FACTS)
        return record


@pytest.fixture
def second(earlier) -> Started:
    return Started(earlier)


def origins(record, student: str, n: int) -> list[str | None]:
    """What the next ``n`` trials are: known points or where they come from."""
    numbers = [record.propose(student).number for _ in range(n)]
    attrs = [record.studies[student].get_trials()[number].user_attrs for number in numbers]
    return [each.get("warm_start") or each.get("known_point") for each in attrs]


def test_the_best_trials_run_after_the_baseline_and_before_all_else(second):
    record = second.open("first")
    assert origins(record, "tiny_conv", 6) == [
        "no_distillation", "first/tiny_conv 2", "first/tiny_conv 4", "first/tiny_conv 3", "guide", None,
    ]  # fmt: skip


def test_a_transferred_trial_is_trained_as_it_was_there(second, earlier):
    record = second.open("first")
    best = SweepResults.read(earlier.sweep("first")).finished("tiny_conv")
    record.propose("tiny_conv")
    for trial in best[:3]:
        there = trial.user_attrs["config"]
        here = record.propose("tiny_conv").config.flat()
        assert {key for key in here if here[key] != there[key]} <= {"seed"}


def test_a_student_without_trials_of_its_own_there_starts_from_the_best_student(second):
    record = second.open("first")
    assert origins(record, "mobilenetv3", 2) == ["no_distillation", "first/tiny_conv 2"]


def test_transferred_trials_are_beside_the_budget(second, end_trial):
    record = second.open("first")
    assert record.missing("tiny_conv") == 3 + 3
    for _ in range(6):
        end_trial(record, "tiny_conv", [0.5])
    assert record.missing("tiny_conv") == 0
    again = second.open("first")
    assert again.missing("tiny_conv") == 0 and len(again.trials("tiny_conv")) == 6
    results = SweepResults.read(second.folder)
    assert results.to_begin == {"tiny_conv": 0, "mobilenetv3": 6} and results.n_missing == 6


def test_a_sweep_at_its_target_takes_a_warm_start_and_no_further_known_point(second, end_trial):
    record = second.open(**{"budget.trials": 1})
    end_trial(record, "tiny_conv", [0.5])
    again = second.open("first", **{"budget.trials": 1})
    assert again.missing("tiny_conv") == 3
    assert origins(again, "tiny_conv", 3) == ["first/tiny_conv 2", "first/tiny_conv 4", "first/tiny_conv 3"]
    assert again.missing("tiny_conv") == 0


def test_warm_starting_twice_enqueues_once_even_when_the_earlier_sweep_went_on(second, earlier, end_trial):
    second.open("first")
    record = RecordedSweep(earlier.sweep("first")).open({"budget.trials": 6})
    end_trial(record, "tiny_conv", [0.99])
    assert second.open("first").missing("tiny_conv") == 3 + 3
    assert second.open("first", "first/tiny_conv").missing("tiny_conv") == 3 + 3


def test_what_a_dead_driver_did_not_enqueue_is_made_good(second):
    dead = second.open()
    point = {"distillation.alpha": 0.2}
    dead.studies["tiny_conv"].enqueue_trial(point, user_attrs={"warm_start": "first/tiny_conv 2"})
    queued = second.open("first").studies["tiny_conv"].get_trials()
    found = [trial.user_attrs["warm_start"] for trial in queued if "warm_start" in trial.user_attrs]
    assert found == ["first/tiny_conv 2", "first/tiny_conv 4", "first/tiny_conv 3"]


def test_a_student_starts_from_another_of_the_same_sweep(earlier):
    swept = RecordedSweep(earlier.sweep("first"))
    changes = {"budget.trials": 5, "search.warm_start": ["first/tiny_conv"]}
    sources = read_sources(swept.open(changes).sweep, earlier)
    assert {student: len(found) for student, found in sources.items()} == {"tiny_conv": 0, "mobilenetv3": 1}
    record = swept.open(changes, sources=sources)
    assert (record.missing("tiny_conv"), record.missing("mobilenetv3")) == (0, 4 + 3)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("third", "is not recorded here; `distune list` names the sweeps that are"),
        ("first/resnet18", "has no finished trial that another student could start from; name first/tiny_conv"),
        ("first/mobilenetv3", "name first/tiny_conv"),
    ],
)
def test_a_warm_start_from_nothing_is_refused_with_what_there_is(second, entry, told):
    with pytest.raises(InputError) as refused:
        second.open("first", entry)
    (fault,) = refused.value.faults
    assert (fault.key, fault.value) == ("search.warm_start", entry) and told in fault.remedy


def test_all_of_a_point_that_a_space_can_draw_is_kept():
    config = TrialConfig.from_flat({"distillation.alpha": 0.45, "distillation.temperature": 3.3})
    point, notes = project(config.flat(), TINY, n_layers=7)
    assert (point["distillation.alpha"], point["distillation.temperature"]) == (0.45, 3.3)
    assert notes == [] and outside(point, distributions_of(TINY, 7)) == []


def test_a_point_beyond_a_space_is_brought_to_the_nearest_in_it_and_the_log_says_so():
    keys = {"distillation.alpha": 0.97, "training.learning_rate": 0.1, "model.dropout": 0.12, "optimizer.momentum": 0.5}
    point, notes = project(TrialConfig.from_flat(keys).flat(), TINY, n_layers=7)
    assert (point["distillation.alpha"], point["training.learning_rate"]) == (pytest.approx(0.95), 0.02)
    assert point["model.dropout"] == pytest.approx(0.1) and "optimizer.momentum" not in point
    assert [note.split(" = ")[0] for note in notes] == [
        "distillation.alpha", "training.learning_rate", "model.dropout",
    ]  # fmt: skip
    assert notes[1] == "training.learning_rate = 0.1 is not in this student's space; it starts from 0.02"


def test_a_trial_without_distillation_stays_one():
    point, notes = project(TrialConfig.from_flat({"distillation.enabled": False}).flat(), TINY, n_layers=7)
    assert (point["distillation.alpha"], point["distillation.feature_alignment_enabled"]) == (0.0, False)
    assert not any("temperature" in name or "layers" in name for name in point) and notes == []


def test_layers_that_the_teacher_lacks_become_the_default():
    aligned = {"distillation.feature_alignment_enabled": True, "distillation.alignment_layers": [8, 10]}
    point, notes = project(TrialConfig.from_flat(aligned).flat(), TINY, n_layers=7)
    assert [point[f"distillation.alignment_layers.{name}"] for name in ("count", "first", "stride")] == [3, 2, 2]
    assert len(notes) == 1 and "alignment_layers = [8, 10]" in notes[0]


def test_a_space_that_searches_less_takes_less():
    point, _ = project(TrialConfig.from_flat({"training.learning_rate": 2e-3}).flat(), SPACE, n_layers=7)
    assert set(point) == {"distillation.alpha", "distillation.temperature", "training.learning_rate"}
