"""What a sweep is refused for before Ray starts, and what its trials share where it is not."""

import logging
import re
from pathlib import Path

import pytest
import ray
import torch

from search.home import open_home
from search.prepare.shared import make_shared
from search.screen.steps import silent_steps
from spaces.errors import InputError
from spaces.sweep import SweepConfig
from tests.trainables.recipes import N_CLIPS, contents, write_clips
from tests.trainables.teachers.conftest import CONFIGS, random_model, saved
from trainables.audio import scan, sounds
from trainables.corpus import fill, logits
from trainables.corpus.store import Corpus

STUDENT = "students.tiny_conv.fixed"


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    return write_clips(tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="module")
def deceived(tmp_path_factory) -> Path:
    """Clips whose validation calls each class by the other's name."""
    folder = write_clips(tmp_path_factory.mktemp("recordings"))
    val = folder / "val"
    (val / "positive").rename(val / "aside")
    (val / "negative").rename(val / "positive")
    (val / "aside").rename(val / "negative")
    return folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> str:
    """A Wav2Vec2 of 4 layers, without a head."""
    return saved(tmp_path_factory.mktemp("teacher"), random_model(CONFIGS["wav2vec2"]))


@pytest.fixture
def home(tmp_path):
    return open_home(tmp_path / "home")


@pytest.fixture
def sweep(clips, teacher):
    """The smallest sweep, with dotted keys changed."""

    def changed(**sections) -> SweepConfig:
        tree = {
            "name": "first",
            "data": {"path": clips, "views": {"count": 2}},
            "teacher": {"model": teacher},
            "students": ["tiny_conv"],
        }
        return SweepConfig.model_validate(tree | sections)

    return changed


def faults(config: SweepConfig, home) -> dict[str, str]:
    """Key to what is told of it; whatever is refused is refused before Ray and before the teacher's pass."""
    with pytest.raises(InputError) as refused:
        make_shared(config, home, silent_steps)
    assert not ray.is_initialized() and contents(home.corpora) == {}
    assert len({fault.key for fault in refused.value.faults}) == len(refused.value.faults)
    return {fault.key: str(fault) for fault in refused.value.faults}


def fixed(**keys):
    return {"tiny_conv": {"fixed": {key.replace("__", "."): value for key, value in keys.items()}}}


def test_everything_wrong_with_a_sweep_is_told_at_once(sweep, home, tmp_path):
    config = sweep(
        data={"path": tmp_path / "no-clips", "views": {"noise": [tmp_path / "no-noise"], "rir": [tmp_path / "no-rir"]}},
        teacher={"model": str(tmp_path / "no-teacher")},
        students={"tiny_konv": {}, "resnet18": {"space": "no-space"}, **fixed(model__dropuot=0.1)},
    )
    told = faults(config, home)
    assert set(told) == {
        "data.path", "data.views.noise", "data.views.rir", "teacher.model",
        "students.tiny_konv", "students.resnet18.space", STUDENT,
    }  # fmt: skip
    assert "is no student; choose among mobilenetv3, resnet18, tiny_conv" in told["students.tiny_konv"]
    assert all("no-" in told[key] for key in told if key.endswith(("path", "noise", "rir", "model", "space")))
    assert "model.dropuot: no such key of a trial" in told[STUDENT]


def test_a_teacher_that_is_none_is_refused_beside_the_data(sweep, home, tmp_path):
    (tmp_path / "teacher.pt").write_bytes(b"no weights")
    (tmp_path / "clips").mkdir()
    told = faults(sweep(teacher={"model": str(tmp_path / "teacher.pt")}, data={"path": tmp_path / "clips"}), home)
    assert set(told) == {"teacher.model", "data.path"}


def test_a_folder_of_noise_without_a_recording_is_refused(sweep, home, clips, tmp_path):
    (tmp_path / "noise").mkdir()
    told = faults(sweep(data={"path": clips, "views": {"noise": [tmp_path / "noise"]}}), home)
    assert list(told) == ["data.views.noise"] and str(tmp_path / "noise") in told["data.views.noise"]


def test_a_fixed_layer_that_the_teacher_lacks_is_refused_with_those_it_has(sweep, home):
    layers = fixed(distillation__feature_alignment_enabled=True, distillation__alignment_layers=[2, 4])
    told = faults(sweep(students=layers), home)
    key = f"{STUDENT}.distillation.alignment_layers"
    assert list(told) == [key]
    assert "names [4], but wav2vec2 has layers 0 to 3; choose among those" in told[key]


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"distillation__alpha": 1}, "distillation.alpha = 1: leaves nothing to the labels"),
        ({"distillation__alignment_layers": [1, 1]}, "repeats a layer"),
        ({"training__epochs": 3}, "the sweep decides it; set budget.epochs or the student's epochs"),
        ({"training__batch_size": "many"}, "training.batch_size = 'many'"),
    ],
)
def test_a_fixed_value_that_no_trial_can_have_is_refused(sweep, home, keys, told):
    assert told in faults(sweep(students=fixed(**keys)), home)[STUDENT]


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"optimizer__warmup_epochs": 8}, "optimizer.warmup_epochs=8 leaves nothing of training.epochs=8"),
        ({"distillation__alignment_layers": []}, "name at least one layer or set feature_alignment_enabled=false"),
    ],
)
def test_fixed_values_that_do_not_go_together_with_the_rest_are_refused_before_a_trial_meets_them(
    sweep, home, keys, told
):
    assert told in "\n".join(faults(sweep(students=fixed(**keys), budget={"epochs": 8}), home).values())


def test_trials_share_a_corpus_and_a_fitted_teacher(sweep, home):
    shared = make_shared(sweep(students=["tiny_conv", "resnet18"]), home, silent_steps)
    corpus = Corpus.open(shared.corpus, shared.teacher.head_fingerprint)
    assert (len(corpus.splits["train"]), corpus.splits["train"].n_views, shared.n_layers) == (9, 2, 4)
    assert shared.teacher.fitted and shared.teacher_metrics["val"]["f1"] == 1.0
    assert set(shared.spaces) == {"tiny_conv", "resnet18"} and not ray.is_initialized()
    assert shared.fingerprint == f"{shared.corpus.name}/{shared.teacher.head_fingerprint}"
    assert shared.facts["teachers"]["wav2vec2"]["n_layers"] == 4
    clips, teacher = shared.facts["clips"], shared.facts["teacher"]
    assert clips["counts"] == {split: {"hard_negative": 0} | counts for split, counts in N_CLIPS.items()}
    assert clips["fingerprint"] == shared.origin["the clips"].fingerprint and clips["path"] == str(sweep().data.path)
    assert teacher["fingerprint"].endswith(f"/{shared.teacher.head_fingerprint}")
    assert teacher["teacher.architecture"] == "wav2vec2"


def test_layers_are_probed_where_a_student_searches_them_and_the_ranking_is_told_and_kept(sweep, home, caplog):
    with caplog.at_level(logging.INFO):
        shared = make_shared(sweep(), home, silent_steps)
    assert [row["layer"] for row in shared.facts["probes"]] == [0, 1, 2, 3]
    assert re.search(
        r"teacher layers by linear probe \(validation pAUC\): \d \(\d\.\d{3}\)(, \d \(\d\.\d{3}\)){3}", caplog.text
    )


def test_layers_are_not_probed_where_no_student_searches_them(sweep, home, monkeypatch):
    monkeypatch.setattr("search.prepare.shared.probes_on_corpus", None)
    shared = make_shared(sweep(students=fixed(distillation__alignment_layers=[1])), home, silent_steps)
    assert shared.facts["probes"] == []


def test_a_warm_start_from_nothing_is_refused_beside_all_else(sweep, home, tmp_path):
    told = faults(sweep(data={"path": tmp_path / "no-clips"}, search={"warm_start": "third/tiny_conv"}), home)
    assert set(told) == {"data.path", "search.warm_start"}
    assert "third/tiny_conv" in told["search.warm_start"]


def test_the_same_sweep_again_shares_the_same_and_computes_nothing(sweep, home, monkeypatch):
    first = make_shared(sweep(), home, silent_steps)
    before = contents(first.corpus)
    monkeypatch.setattr(fill, "LogMel", None)  # whatever fills a corpus needs it
    monkeypatch.setattr(logits, "fit_head", None)
    again = make_shared(sweep(), home, silent_steps)
    assert (again.corpus, again.fingerprint, again.facts) == (first.corpus, first.fingerprint, first.facts)
    assert contents(first.corpus) == before


def test_clips_are_not_decoded_again_for_the_same_sweep(sweep, home, monkeypatch):
    monkeypatch.setattr(sounds, "SETTLED_NS", -(10**18))  # the clips were written a moment ago
    make_shared(sweep(), home, silent_steps)
    monkeypatch.setattr(scan, "measure", None)
    make_shared(sweep(), home, silent_steps)
    assert home.sounds.is_file()


def test_a_half_precision_without_a_gpu_is_refused_beside_all_else(sweep, home, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    told = faults(sweep(data={"path": tmp_path / "no-clips"}, teacher={"precision": "bfloat16"}), home)
    assert set(told) == {"data.path", "teacher.precision"}


def test_a_fixed_key_reaches_the_students_space(sweep, home):
    shared = make_shared(sweep(students=fixed(model__dropout=0.4)), home, silent_steps)
    assert shared.spaces["tiny_conv"].fixed["model.dropout"] == 0.4
    assert "model.dropout" not in shared.spaces["tiny_conv"].parameters


def test_a_weak_teacher_is_refused_with_its_f1_and_both_remedies(sweep, home, deceived):
    told = r"F1 is 0\.[0-4]\d\d, under 0\.80; fit a better one .*teacher\.allow_weak=true"
    with pytest.raises(InputError, match=told):
        make_shared(sweep(data={"path": deceived}), home, silent_steps)


def test_a_weak_teacher_teaches_where_the_user_insists_and_the_log_says_so(sweep, home, deceived, teacher, caplog):
    config = sweep(data={"path": deceived}, teacher={"model": teacher, "allow_weak": True})
    with caplog.at_level(logging.WARNING):
        shared = make_shared(config, home, silent_steps)
    f1 = shared.teacher_metrics["val"]["f1"]
    assert f1 < 0.5 and f"the teacher's validation F1 is {f1:.3f}, under 0.80" in caplog.text


def test_the_bar_for_a_teacher_can_be_lowered(sweep, home, deceived, teacher):
    config = sweep(data={"path": deceived}, teacher={"model": teacher, "minimum_f1": 0.0})
    assert make_shared(config, home, silent_steps).teacher.fitted
