"""The knobs of a trial: what the guide forbids is refused with a remedy, what it advises is noted."""

import re

import pydantic
import pytest

from spaces.errors import faults_of
from spaces.trial import TrialConfig, flattened, nested, value_faults

ALIGNED = {"distillation.feature_alignment_enabled": True}
NO_ALIGNMENT = {"distillation.feature_alignment_enabled": False}


def refusal(flat) -> str:
    """The faults of a trial as the user reads them."""
    with pytest.raises(pydantic.ValidationError) as refused:
        TrialConfig.from_flat(flat)
    return "\n".join(str(fault) for fault in faults_of(refused.value, "trial.yaml"))


@pytest.mark.parametrize(
    ("flat", "told"),
    [
        ({"distillation.alpha": 1}, r"distillation\.alpha = 1: leaves nothing to the labels; choose less than 1"),
        ({"distillation.alpha": 1.5}, r"distillation\.alpha = 1\.5: .*less than or equal to 1"),
        ({"distillation.alpha": -0.1}, r"distillation\.alpha = -0\.1: .*greater than or equal to 0"),
        ({"distillation.alpha": 0, **NO_ALIGNMENT}, r"alpha=0 with feature_alignment_enabled=false .*; raise alpha"),
        ({"distillation.temperature": 0.99}, r"distillation\.temperature = 0\.99: .*greater than or equal to 1"),
        ({"distillation.temperature": 10.1}, r"distillation\.temperature = 10\.1: .*less than or equal to 10"),
        (
            {"training.use_precomputed_features_for_training": True},
            r"training\.use_precomputed_features_for_training = True: the teacher needs audio.*; set it to false",
        ),
        ({**ALIGNED, "distillation.alignment_layers": []}, r"alignment_layers=\[\] .*; name at least one layer"),
        ({"distillation.alignment_layers": [-1, 2]}, r"distillation\.alignment_layers: \[-1, 2\] .*; name each once"),
        ({"distillation.alignment_layers": [2, 2]}, r"distillation\.alignment_layers: \[2, 2\] .*; name each once"),
        ({"distillation.alignment_layers": "2,4,6"}, r"distillation\.alignment_layers = '2,4,6': "),
        (
            {"optimizer.warmup_epochs": 5, "training.epochs": 5},
            r"optimizer\.warmup_epochs=5 leaves nothing of training\.epochs=5; lower the one or raise the other",
        ),
        ({"distillation.tempereture": 2}, r"distillation\.tempereture = 2: unknown key; check its spelling"),
        ({"training.learning_rate": float("nan")}, r"training\.learning_rate = nan: "),
    ],
)  # fmt: skip
def test_what_cannot_teach_is_refused_with_key_value_and_remedy(flat, told):
    assert re.search(told, refusal(flat))


@pytest.mark.parametrize(
    "flat",
    [
        {"distillation.alpha": 0, **ALIGNED},  # alignment alone
        {"distillation.enabled": False, "distillation.alpha": 0},
        {"distillation.alpha": 0.99, "distillation.temperature": 1},
        {"distillation.temperature": 10},
        {**ALIGNED, "distillation.alignment_layers": [0]},
        {"distillation.alignment_layers": []},  # with alignment off
        {"optimizer.warmup_epochs": 4, "training.epochs": 5},
        {"optimizer.warmup_epochs": 0, "training.epochs": 1},
    ],
)
def test_the_edges_of_what_is_allowed_are_trials(flat):
    # Tuples come back as lists, so both sides are compared as the file has them.
    told = TrialConfig.from_flat(flat).flat()
    assert {key: told[key] for key in flat} == flat


def test_every_fault_is_told_at_once():
    told = refusal({"distillation.alpha": 1, "training.batch_size": 1, "model.dropout": 1})
    assert [line.split(" = ")[0] for line in told.splitlines()] == [
        "trial.yaml: model.dropout", "trial.yaml: distillation.alpha", "trial.yaml: training.batch_size",
    ]  # fmt: skip


def test_layers_are_aligned_only_where_alignment_and_distillation_are_on():
    layers = {"distillation.alignment_layers": [1, 3]}
    assert TrialConfig.from_flat({**layers, **ALIGNED}).distillation.aligned == (1, 3)
    assert TrialConfig.from_flat({**layers, **NO_ALIGNMENT}).distillation.aligned == ()
    assert TrialConfig.from_flat({**layers, **ALIGNED, "distillation.enabled": False}).distillation.aligned == ()


@pytest.mark.parametrize(
    ("flat", "words"),
    [
        ({**ALIGNED, "distillation.feature_alignment_weight": 5.0}, ["feature_alignment_weight 5 "]),
        ({**ALIGNED, "distillation.feature_alignment_weight": 0.5}, []),
        ({**NO_ALIGNMENT, "distillation.feature_alignment_weight": 5.0}, []),
        ({"distillation.temperature": 6.5}, ["temperature 6.5 "]),
        ({"distillation.temperature": 6.0}, []),
        ({**ALIGNED, "distillation.alpha": 0, "distillation.temperature": 9}, []),  # no logits are softened
        ({"distillation.enabled": False, "distillation.temperature": 9}, []),
        (
            {**ALIGNED, "distillation.feature_alignment_weight": 0.6, "distillation.temperature": 7},
            ["feature_alignment_weight 0.6 ", "temperature 7 "],
        ),
    ],
)
def test_the_guides_advice_is_a_note_and_no_limit(flat, words):
    notes = TrialConfig.from_flat(flat).notes()
    assert len(notes) == len(words) and all(note.startswith(word) for note, word in zip(notes, words, strict=True))


def test_flat_keys_and_back_give_the_same_trial_in_plain_types():
    trial = TrialConfig.from_flat({**ALIGNED, "distillation.alignment_layers": (1, 2), "seed": 7})
    flat = trial.flat()
    assert TrialConfig.from_flat(flat) == trial
    assert flat["distillation.alignment_layers"] == [1, 2] and flat["seed"] == 7
    assert {type(value) for value in flat.values()} <= {bool, int, float, str, list}


def test_nesting_and_flattening_undo_each_other():
    tree = {"a": {"b": 1, "c": {"d": [1, 2]}}, "e": 2}
    assert flattened(tree) == {"a.b": 1, "a.c.d": [1, 2], "e": 2}
    assert nested(flattened(tree)) == tree


def test_a_value_is_judged_without_the_rules_between_keys():
    assert value_faults("distillation.alpha", 0) == []  # though the default has alignment off
    assert value_faults("optimizer.warmup_epochs", 1000) == []
    assert value_faults("distillation.alpha", 1) == ["leaves nothing to the labels; choose less than 1, such as 0.9"]
    assert len(value_faults("distillation.alignment_layers", [3, -1])) == 1


def test_a_trial_cannot_change_after_loading():
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        TrialConfig().distillation.alpha = 0.5
