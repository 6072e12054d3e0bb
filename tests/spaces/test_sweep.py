"""A sweep file: what it may say, how it is changed, and what is wrong with it, all at once."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from spaces.errors import InputError
from spaces.sections import HIGHER_IS_BETTER, Objective
from spaces.sweep import SweepConfig, parse_overrides

MINIMAL = {"data": {"path": "clips"}, "students": ["tiny_conv"]}


@pytest.fixture
def write(tmp_path):
    """Writes a sweep file named ``first.yaml``: the smallest there is, with sections changed."""

    def writer(**sections) -> Path:
        path = tmp_path / "first.yaml"
        path.write_text(yaml.safe_dump({**MINIMAL, **sections}, sort_keys=False))
        return path

    return writer


def refused(path: Path, overrides=None) -> list[tuple[str, object]]:
    """(key, value) of every fault."""
    with pytest.raises(InputError) as refusal:
        SweepConfig.load(path, overrides)
    assert {fault.file for fault in refusal.value.faults} == {str(path)}
    return [(fault.key, fault.value) for fault in refusal.value.faults]


def test_data_and_students_are_enough_and_the_file_gives_the_name(write):
    sweep = SweepConfig.load(write())
    assert (sweep.name, list(sweep.students)) == ("first", ["tiny_conv"])
    assert (sweep.objective.metric, sweep.early_stopping.scheduler, sweep.teacher.model) == ("val_pauc", "asha", None)


def test_the_files_own_name_goes_before_its_file_name(write):
    assert SweepConfig.load(write(name="second")).name == "second"


def test_students_are_a_list_or_a_mapping_with_or_without_settings(write):
    assert SweepConfig.load(write(students=["tiny_conv", "resnet18"])) == SweepConfig.load(
        write(students={"tiny_conv": None, "resnet18": {}})
    )


def test_a_students_own_budget_goes_before_the_sweeps(write):
    path = write(budget={"trials": 8, "epochs": 20}, students={"tiny_conv": {"trials": 40}, "resnet18": {"epochs": 5}})
    sweep = SweepConfig.load(path)
    assert [(sweep.trials_of(name), sweep.epochs_of(name)) for name in sweep.students] == [(40, 20), (8, 5)]


# Overrides


def test_overrides_are_laid_over_the_file_key_by_key(write):
    path = write(budget={"trials": 8, "epochs": 20}, data={"path": "clips", "views": {"count": 3, "seed": 9}})
    sweep = SweepConfig.load(path, {"budget.trials": 40, "data.views.count": 2, "name": "other"})
    assert (sweep.budget.trials, sweep.budget.epochs) == (40, 20)
    assert (sweep.data.views.count, sweep.data.views.seed, sweep.name) == (2, 9, "other")


def test_an_override_of_one_student_keeps_the_others_of_a_list(write):
    sweep = SweepConfig.load(write(students=["tiny_conv", "resnet18"]), {"students.resnet18.trials": 4})
    assert [(name, sweep.trials_of(name)) for name in sweep.students] == [("tiny_conv", 16), ("resnet18", 4)]


def test_an_override_may_name_the_students_anew(write):
    assert list(SweepConfig.load(write(), {"students": ["resnet18"]}).students) == ["resnet18"]


def test_an_override_fills_a_section_that_the_file_leaves_empty(write):
    assert SweepConfig.load(write(budget=None), {"budget.trials": 5}).budget.trials == 5


def test_pairs_of_the_command_line_are_read_as_yaml():
    pairs = ["budget.trials=40", "teacher.allow_weak=true", "students=[a, b]", "teacher.model=", "x.y=a=b"]
    assert parse_overrides(pairs) == {
        "budget.trials": 40, "teacher.allow_weak": True, "students": ["a", "b"], "teacher.model": None, "x.y": "a=b",
    }  # fmt: skip
    assert parse_overrides(["budget.trials=4", "budget.trials=5"]) == {"budget.trials": 5}


def test_every_pair_that_cannot_be_read_is_named_at_once():
    with pytest.raises(InputError) as refusal:
        parse_overrides(["budget.trials", "=4", "name=[1", "data=x", "data.path=y", "database=z"])
    assert [(fault.value, fault.remedy) for fault in refusal.value.faults] == [
        ("budget.trials", "write it as key=value"),
        ("=4", "write it as key=value"),
        ("name=[1", "its value is not YAML; quote it"),
        ("data.path=y", "contradicts data; keep one"),
    ]


# Paths


def test_relative_paths_are_relative_to_the_file(write, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    for name in ("teacher", "conformer"):
        (tmp_path / name).mkdir()
    (tmp_path / "mine.yaml").touch()
    path = write(
        data={"path": "clips", "views": {"noise": ["noise", "/loud"], "rir": ["../rooms"]}},
        teacher={"architecture": "dual", "model": "teacher", "secondary_model": "conformer"},
        students={"tiny_conv": {"space": "mine.yaml"}},
        tracking={"uri": "sqlite:///runs/mlflow.db"},
    )
    sweep = SweepConfig.load(path)
    assert sweep.data.path == tmp_path / "clips"
    assert sweep.data.views.noise == (tmp_path / "noise", Path("/loud"))
    assert sweep.data.views.rir == (tmp_path.parent / "rooms",)
    assert sweep.teacher.model == str(tmp_path / "teacher")
    assert sweep.teacher.secondary_model == str(tmp_path / "conformer")
    assert sweep.students["tiny_conv"].space == str(tmp_path / "mine.yaml")
    assert sweep.tracking.uri == f"sqlite:///{tmp_path}/runs/mlflow.db"


def test_what_is_to_be_fetched_is_no_path_and_stays_as_it_is_written(write, tmp_path):
    data = {"path": "s3://bucket/clips/", "views": {"noise": ["gs://bucket/noise", "hiss"]}}
    sweep = SweepConfig.load(write(data=data, resources={"storage": "s3://bucket/distune"}))
    assert sweep.data.path == "s3://bucket/clips"
    assert sweep.data.views.noise == ("gs://bucket/noise", tmp_path / "hiss")
    assert sweep.resources.storage == "s3://bucket/distune"
    assert sweep.data.is_remote and sweep.overlaid({"budget.trials": 16}) == sweep
    assert SweepConfig.load(write(resources={"storage": "shared"})).resources.storage == tmp_path / "shared"


def test_a_scheme_that_cannot_be_read_is_refused_with_those_that_can(write):
    with pytest.raises(InputError) as refusal:
        SweepConfig.load(write(data={"path": "ftp://host/clips"}, resources={"storage": 3}))
    assert [(fault.key, fault.value, fault.remedy) for fault in refusal.value.faults] == [
        (
            "data.path",
            "ftp://host/clips",
            "begins with ftp://, which distune cannot read; choose one of s3://, gs://, file://, or a path",
        ),
        ("resources.storage", 3, "is neither a path nor a URI; write it as text"),
    ]


@pytest.mark.parametrize("uri", ["sqlite:////var/mlflow.db", "http://localhost:5000", None])
def test_a_store_that_is_no_relative_file_is_left_alone(write, uri):
    assert SweepConfig.load(write(tracking={"uri": uri})).tracking.uri == uri


def test_a_hub_id_and_a_shipped_space_are_no_paths(write, tmp_path):
    (tmp_path / "quickstart").mkdir()
    path = write(teacher={"model": "facebook/wav2vec2-base"}, students={"tiny_conv": {"space": "quickstart"}})
    sweep = SweepConfig.load(path)
    assert (sweep.teacher.model, sweep.students["tiny_conv"].space) == ("facebook/wav2vec2-base", "quickstart")


def test_a_tilde_is_the_users_folder(write, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert SweepConfig.load(write(data={"path": "~/clips"})).data.path == tmp_path / "clips"


def test_overlaid_paths_are_relative_to_the_current_folder(write, tmp_path, monkeypatch):
    sweep = SweepConfig.load(write(budget={"trials": 8}))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    changed = sweep.overlaid({"data.path": "more", "budget.epochs": 3})
    assert changed.data.path == tmp_path / "here" / "more"
    assert (changed.budget.trials, changed.budget.epochs, changed.name) == (8, 3, "first")
    assert sweep.overlaid({}) == sweep


def test_a_sweep_written_down_reads_back_the_same(write, tmp_path):
    sweep = SweepConfig.load(write(data={"path": "clips", "views": {"noise": ["noise"]}}, budget={"trials": 3}))
    copy = tmp_path / "elsewhere" / "sweep.yaml"
    copy.parent.mkdir()
    copy.write_text(yaml.safe_dump(sweep.model_dump(mode="json")))
    assert SweepConfig.load(copy) == sweep


# Faults


def test_unknown_keys_are_all_named_at_once(write):
    path = write(data={"path": "clips", "veiws": {}}, budjet={"trials": 3}, teacher={"minimum_f": 0.5})
    assert sorted(key for key, _ in refused(path, {"search.sead": 4, "students.tiny_conv.trails": 2})) == [
        "budjet", "data.veiws", "search.sead", "students.tiny_conv.trails", "teacher.minimum_f",
    ]  # fmt: skip


def test_faults_of_every_section_are_told_together(write):
    path = write(
        data={},
        students=[],
        teacher={"architecture": "conformer"},
        objective={"metric": "val_loss"},
        early_stopping={"reduction_factor": 1},
    )
    assert refused(path) == [
        ("data.path", None), ("teacher", None), ("students", None), ("objective.metric", "val_loss"),
        ("early_stopping.reduction_factor", 1),
    ]  # fmt: skip


def test_a_missing_section_is_named(tmp_path):
    (tmp_path / "bare.yaml").write_text("budget: {trials: 3}")
    assert refused(tmp_path / "bare.yaml") == [("data", None), ("students", None)]


@pytest.mark.parametrize("students", ["tiny_conv", [{"tiny_conv": {"trials": 3}}], None])
def test_students_in_another_form_are_refused(write, students):
    assert [key for key, _ in refused(write(students=students))] == ["students"]


@pytest.mark.parametrize("name", ["my sweep", "../up", ".hidden", "a/b", "", "x" * 65, "ünder"])
def test_a_name_that_is_no_folder_and_no_study_is_refused(write, name):
    with pytest.raises(InputError, match="is no name of a sweep; use up to 64 letters") as refusal:
        SweepConfig.load(write(), {"name": name})
    assert [(fault.key, fault.value) for fault in refusal.value.faults] == [("name", name)]


@pytest.mark.parametrize("name", ["a", "7", "enable-2.1_b", "x" * 64])
def test_a_plain_name_is_taken(write, name):
    assert SweepConfig.load(write(), {"name": name}).name == name


def test_a_range_the_wrong_way_round_is_refused(write):
    path = write(data={"path": "clips", "views": {"snr_db": [20, 5], "gain_db": [1, 1]}})
    assert [key for key, _ in refused(path)] == ["data.views.snr_db"]


def test_students_to_confirm_that_are_not_searched_are_refused(write):
    path = write(students=["tiny_conv", "resnet18"], confirm={"students": ["resnet18", "mobilenetv3"]})
    with pytest.raises(InputError, match="confirm: mobilenetv3 is not searched here; choose students among tiny_conv"):
        SweepConfig.load(path)


def test_every_objective_has_a_direction():
    modes = {metric: Objective(metric=metric, stream="hours").mode for metric in HIGHER_IS_BETTER}
    assert modes == {
        "val_pauc": "max", "val_auc": "max", "val_f1": "max", "val_eer": "min",
        "val_frr_at_fpr": "min", "val_frr_at_fah": "min",
        "val_stream_frr_at_fah": "min",
    }  # fmt: skip


def test_a_trial_is_what_was_drawn_and_what_the_sweep_decides(write):
    sweep = SweepConfig.load(write(budget={"epochs": 2}, search={"seed": 3}))
    trial = sweep.trial_config("tiny_conv", {"model.dropout": 0.4, "training.epochs": 99}, number=7)
    assert (trial.model.architecture, trial.model.dropout, trial.training.epochs) == ("tiny_conv", 0.4, 2)
    assert (trial.seed, trial.optimizer.warmup_epochs) == (3007, 1)


@pytest.mark.parametrize(
    ("objective", "wants"),
    [
        ({"metric": "val_stream_frr_at_fah"}, "metric=val_stream_frr_at_fah"),
        ({"stream_epochs": 3}, "stream_epochs=3"),
    ],
)
def test_an_objective_on_a_stream_names_the_stream(objective, wants):
    with pytest.raises(ValidationError, match=f"{wants} needs a stream; set objective.stream to a folder of long"):
        Objective.model_validate(objective)


def test_the_stream_is_looked_for_beside_the_sweep_file(tmp_path):
    objective = {"metric": "val_stream_frr_at_fah", "stream": "hours"}
    sweep = {"data": {"path": "clips"}, "students": ["tiny_conv"], "objective": objective}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(sweep))
    loaded = SweepConfig.load(tmp_path / "s.yaml").objective
    assert loaded.stream == tmp_path / "hours"
    # The test clips have no stream: what validation chose by is told apart from what they say.
    assert (loaded.mode, loaded.test_metric) == ("min", "test_pauc")
    assert Objective(metric="val_eer").test_metric == "test_eer"
