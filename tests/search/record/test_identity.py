"""What may change under a sweep's name, on a real journal file, each ``recorded.open()`` as another process would."""

import copy
import logging
from typing import Any

import pytest

from search.record.origin import Part
from spaces.errors import InputError
from spaces.space import Space
from tests.search.conftest import ORIGIN, SPACE

ALPHA, RATE, LAYERS = "distillation.alpha", "training.learning_rate", "distillation.alignment_layers"
CHOICE = "distillation.temperature_scheduler"


def space_with(**changes: dict[str, Any]) -> Space:
    """The space with fields of its parameters changed."""
    tree = SPACE.model_dump(mode="json")
    tree["parameters"][CHOICE] = {"choices": ["fixed", "linear_decay", "exponential_decay"], "default": "fixed"}
    tree["parameters"][LAYERS] = {"max_count": 4, "max_stride": 3, "default": [2]}
    for key, fields in changes.items():
        tree["parameters"][key] |= fields
    return Space.model_validate(tree)


def refusals(recorded, **opened: Any) -> list[str]:
    with pytest.raises(InputError) as refusal:
        recorded.open(**opened)
    return [str(fault) for fault in refusal.value.faults]


def changed(part: str, fingerprint: str, **settings: Any) -> dict[str, Part]:
    origin = copy.deepcopy(ORIGIN)
    origin[part] = Part(
        fingerprint, origin[part].settings | {key.replace("__", "."): settings[key] for key in settings}
    )
    return origin


UNDO = "since this sweep began; undo that, or take another name with --name"


def test_changed_data_is_refused_once_for_all_students_with_what_differs(recorded):
    recorded.open()
    origin = changed("the clips", "c2", data__path="others")
    assert refusals(recorded, origin=origin) == [f"first: data.path: clips -> others {UNDO}"]
    assert recorded.open().n_missing == 6


def test_data_that_moved_is_the_same_data(recorded):
    recorded.open()
    assert recorded.open(origin=changed("the clips", "c1", data__path="elsewhere")).n_missing == 6


def test_changed_content_that_no_setting_shows_is_refused_by_its_fingerprint(recorded):
    recorded.open()
    assert refusals(recorded, origin=changed("the teacher's head", "h2")) == [
        f"first: the teacher's head: h1 -> h2 {UNDO}"
    ]


def test_views_and_teacher_that_changed_are_told_together(recorded):
    recorded.open()
    origin = changed("the views", "v2", data__views__count=8) | {
        "the teacher": changed("the teacher", "t2", teacher__precision="float16")["the teacher"]
    }
    assert refusals(recorded, origin=origin) == [
        f"first: data.views.count: 4 -> 8 {UNDO}", f"first: teacher.precision: float32 -> float16 {UNDO}",
    ]  # fmt: skip


def test_another_student_cannot_bring_other_data(recorded):
    recorded.open()
    alone = type(recorded)(recorded.folder, students=("resnet18",))
    assert refusals(alone, origin=changed("the clips", "c2", data__path="others")) == [
        f"first: data.path: clips -> others {UNDO}"
    ]
    assert alone.open().n_missing == 3


def test_another_objective_is_refused(recorded):
    recorded.open()
    assert refusals(recorded, changes={"objective.metric": "val_auc"}) == [
        f"first: objective.metric: val_pauc -> val_auc {UNDO}"
    ]


def test_other_epochs_are_refused_for_the_student_that_has_them(recorded):
    recorded.open()
    assert refusals(recorded, changes={"students.mobilenetv3.epochs": 10}) == [
        f"first: mobilenetv3: epochs: 9 -> 10 {UNDO}"
    ]


@pytest.mark.parametrize(
    ("key", "fields", "told"),
    [
        (ALPHA, {"high": 0.95, "step": None}, [f"{ALPHA}.high: 0.9 -> 0.95", f"{ALPHA}.step: 0.1 -> None"]),
        (ALPHA, {"step": 0.15}, [f"{ALPHA}.step: 0.1 -> 0.15"]),
        (RATE, {"log": False}, [f"{RATE}.log: True -> False"]),
        (LAYERS, {"max_count": 5}, [f"{LAYERS}.max_count: 4 -> 5"]),
        ("distillation.temperature", {"when": {}},
         ["distillation.temperature.when: {'distillation.alpha': 'positive'} -> {}"]),
    ],
)  # fmt: skip
def test_a_wider_or_another_space_is_refused_field_by_field(recorded, key, fields, told):
    recorded.open(space=space_with())
    expected = [f"first: {student}: {line} {UNDO}" for student in recorded.students for line in told]
    assert refusals(recorded, space=space_with(**{key: fields})) == expected


def test_a_key_that_is_searched_no_more_or_held_elsewhere_is_refused(recorded):
    recorded.open()
    tree = SPACE.model_dump(mode="json")
    del tree["parameters"][RATE]
    tree["fixed"] = {"training.batch_size": 32}
    first, second = refusals(type(recorded)(recorded.folder, ("tiny_conv",)), space=Space.model_validate(tree))
    assert first == f"first: tiny_conv: {RATE}: {{'low': 0.0001, 'high': 0.01, 'log': True, 'default': 0.001}} -> " \
                    f"not searched {UNDO}"  # fmt: skip
    assert second == f"first: tiny_conv: training.batch_size: 16 -> 32 {UNDO}"


@pytest.mark.parametrize(
    ("key", "fields", "told"),
    [
        (ALPHA, {"high": 0.8}, f"{ALPHA}.high is narrower than when the sweep began: 0.9 -> 0.8"),
        (ALPHA, {"step": 0.3}, f"{ALPHA}.step is narrower than when the sweep began: 0.1 -> 0.3"),
        (RATE, {"low": 1e-3}, f"{RATE}.low is narrower than when the sweep began: 0.0001 -> 0.001"),
        (LAYERS, {"max_stride": 1}, f"{LAYERS}.max_stride is narrower than when the sweep began: 3 -> 1"),
        (CHOICE, {"choices": ["fixed", "linear_decay"]},
         f"{CHOICE}.choices is narrower than when the sweep began: "
         "['fixed', 'linear_decay', 'exponential_decay'] -> ['fixed', 'linear_decay']"),
    ],
)  # fmt: skip
def test_a_narrower_space_goes_on_under_the_old_name_and_the_log_says_so(recorded, caplog, key, fields, told):
    recorded.open(space=space_with())
    with caplog.at_level(logging.INFO, logger="search"):
        recorded.open(space=space_with(**{key: fields}))
    told_of = [record.getMessage() for record in caplog.records if record.name == "search.record.identity"]
    assert told_of == [f"{student}: {told}" for student in recorded.students]


def test_a_key_may_be_held_at_a_value_that_was_searched(recorded):
    recorded.open()
    record = recorded.open(space=SPACE.holding({"distillation.temperature": 3.0}))
    _, guide = (record.propose("tiny_conv").config for _ in range(2))
    assert (guide.distillation.alpha, guide.distillation.temperature) == (0.7, 3.0)


def test_a_key_may_not_be_held_beyond_what_was_searched(recorded):
    recorded.open()
    (told, _) = refusals(recorded, space=SPACE.holding({RATE: 0.02}))
    assert told.endswith(f"-> 0.02 {UNDO}")


def test_a_space_that_was_narrowed_may_go_back_to_what_was_recorded_first_but_not_beyond(recorded):
    recorded.open(space=space_with())
    for bounds in ({"high": 0.8}, {"low": 0.0, "high": 0.7}, {}):
        recorded.open(space=space_with(**{ALPHA: bounds}))
    assert len(refusals(recorded, space=space_with(**{ALPHA: {"high": 0.95}}))) == 2


def test_defaults_and_known_points_may_change(recorded):
    recorded.open()
    tree = SPACE.model_dump(mode="json")
    tree["parameters"][RATE]["default"] = 2e-3
    tree["known_points"]["hotter"] = {"distillation.alpha": 0.5}
    assert recorded.open(space=Space.model_validate(tree)).n_missing == 6


def test_more_trials_more_hours_other_stopping_and_another_student_go_on_under_the_old_name(recorded, end_trial):
    end_trial(recorded.open(), "tiny_conv", [0.5])
    changes = {"budget.trials": 5, "budget.hours": 2.0, "early_stopping.grace_epochs": 2, "search.seed": 3}
    more = type(recorded)(recorded.folder, (*recorded.students, "resnet18")).open(changes)
    assert [more.missing(student) for student in more.studies] == [4, 5, 5]
