"""What `distune teacher check` measures."""

import pytest
import torch

from tests.trainables.teachers.conftest import CONFIGS, random_model
from trainables.corpus.ranking import layer_scores
from trainables.teachers.base import Pooled, Teacher
from trainables.teachers.fit import fit_head
from trainables.teachers.probe import TeacherReport, check_teacher
from trainables.teachers.wav2vec2 import Wav2Vec2Encoder


def pooled(distance: float, seed: int) -> Pooled:
    """States whose layer 2 tells the label by ``distance`` sd, layer 1 by a quarter of it; a third wake words."""
    labels = (torch.arange(120) % 3 == 0).long()
    states = torch.randn(120, 4, 64, generator=torch.Generator().manual_seed(seed))
    states[:, 2, 0] += distance * labels
    states[:, 1, 0] += distance / 4 * labels
    return Pooled({"wav2vec2": states}, labels)


@pytest.fixture(scope="module")
def unfitted() -> Teacher:
    return Teacher({"wav2vec2": Wav2Vec2Encoder(random_model(CONFIGS["wav2vec2"]), normalise=True)})


def checked(teacher: Teacher, distance: float, minimum_f1: float = 0.8) -> TeacherReport:
    splits = {split: pooled(distance, seed) for seed, split in enumerate(("train", "val", "test"))}
    return check_teacher(fit_head(teacher, splits["train"], splits["val"]), splits, minimum_f1)


def test_a_strong_teacher_passes_the_gate(unfitted):
    report = checked(unfitted, distance=8.0)
    assert report.passed
    assert set(report.splits) == {"train", "val", "test"}
    assert set(report.splits["test"]) == {"f1", "pauc", "eer", "auc"}
    assert report.splits["test"]["f1"] > 0.95
    assert "reaches the gate of 0.80" in report.verdict


def test_every_layer_is_probed_and_the_telling_ones_rank_first(unfitted):
    report = checked(unfitted, distance=8.0)
    assert [(row.teacher, row.layer) for row in report.layers] == [("wav2vec2", layer) for layer in range(4)]
    assert list(layer_scores(report.layers))[:2] == [2, 1]
    # Layer 0 knows nothing: chance is .5.
    assert report.layers[0].splits["test"]["auc"] == pytest.approx(0.5, abs=0.15)
    assert report.layers[2].splits["test"]["auc"] > 0.98


def test_a_weak_teacher_is_under_the_gate(unfitted):
    report = checked(unfitted, distance=0.5)
    assert not report.passed and "is under the gate of 0.80" in report.verdict


def test_the_gate_is_the_callers(unfitted):
    assert checked(unfitted, distance=0.5, minimum_f1=0.0).passed


def test_an_unfitted_teachers_layers_are_probed_and_its_logits_are_not(unfitted):
    splits = {split: pooled(8.0, seed) for seed, split in enumerate(("train", "val"))}
    report = check_teacher(unfitted, splits, 0.8)
    assert not report.passed
    assert report.splits == {}
    assert len(report.layers) == 4
    assert "not fitted" in report.verdict


def test_a_report_survives_json(unfitted):
    report = checked(unfitted, distance=8.0)
    assert TeacherReport.model_validate_json(report.model_dump_json()) == report
