"""The small teacher that ships with distune, on recordings of speakers and a word it never heard."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from spaces.sections import Teacher as TeacherConfig
from trainables.audio.frontend import read_clip
from trainables.teachers.base import Pooled, encode_clips
from trainables.teachers.fit import fit_head
from trainables.teachers.load import SHIPPED, load_teacher
from trainables.teachers.probe import check_teacher

RECORDINGS = Path(__file__).resolve().parents[4] / "shared" / "data" / "enable"


@pytest.mark.slow
@pytest.mark.skipif(not (SHIPPED / "config.json").exists(), reason="the small teacher has not been made yet")
@pytest.mark.skipif(not RECORDINGS.exists(), reason=f"no recordings in {RECORDINGS}")
def test_a_head_fitted_on_the_shipped_teacher_spots_a_word_in_another_language():
    teacher = load_teacher(TeacherConfig())
    with open(RECORDINGS / "manifest.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] in ("positive", "negative")]
    splits = {}
    for split in ("train", "val", "test"):
        chosen = [row for row in rows if row["split"] == split]
        clips = torch.from_numpy(np.stack([read_clip(RECORDINGS / row["path"]) for row in chosen]))
        labels = torch.tensor([int(row["label"] == "positive") for row in chosen])
        splits[split] = Pooled(encode_clips(teacher, clips), labels)
    report = check_teacher(fit_head(teacher, splits["train"], splits["val"]), splits, minimum_f1=0.80)
    assert report.passed, report.verdict
    assert report.splits["test"]["f1"] > 0.85
    assert report.splits["test"]["pauc"] > 0.90
