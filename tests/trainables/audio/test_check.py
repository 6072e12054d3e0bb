"""A data set as a whole: what is counted, what is noted, what is refused, and what training receives."""

import json

import numpy as np
import pytest
import soundfile

from spaces.errors import InputError
from spaces.sections import Data
from trainables.audio.check import check_data, load_clips, stream
from trainables.audio.frontend import CLIP_SAMPLES, read_clip

SPLITS = ("train", "val", "test")


@pytest.fixture
def good(record, tmp_path):
    """Four clips a split: two positives, a negative and a hard negative; 0.1 s each."""
    for split in SPLITS:
        for name in ("positive/a", "positive/b", "negative/c", "hard_negative/d"):
            record(f"data/{split}/{name}.wav")
    return tmp_path / "data"


def test_clips_hours_and_speakers_are_counted_by_split(good):
    report = check_data(Data(path=good))
    assert report.faults == []
    assert report.table_rows() == [(s, 2, 2, 1, pytest.approx(4 * 0.1 / 3600), 0) for s in SPLITS]
    assert report.splits["train"].without_speaker == 4
    assert json.loads(report.model_dump_json())["splits"]["val"]["hard_negative"] == 1


def test_the_recorded_wake_word_task_passes_with_the_counts_of_its_readme(enable):
    report = check_data(Data(path=enable / "manifest.csv"))
    assert report.faults == [] and report.duplicates == [] and report.unreadable == {}
    # 1.0 s a clip: 1260 s are 0.35 h.
    assert report.table_rows() == [
        ("train", 180, 1080, 504, pytest.approx(0.35), 18),
        ("val", 60, 360, 168, pytest.approx(420 / 3600), 6),
        ("test", 60, 360, 168, pytest.approx(420 / 3600), 6),
    ]


def test_silence_clipping_and_length_are_noted_without_refusal(good):
    square = np.sign(np.sin(np.arange(8000)))
    soundfile.write(good / "train/negative/loud.wav", square, 8_000)
    soundfile.write(good / "train/negative/silent.wav", 5e-4 * square, 8_000, subtype="FLOAT")
    soundfile.write(good / "train/negative/long.wav", 0.5 * np.tile(square, 2), 8_000)
    report = check_data(Data(path=good))
    assert (report.clipped, report.silent, report.longer) == (
        ["train/negative/loud.wav"],
        ["train/negative/silent.wav"],
        1,
    )
    assert report.faults == []
    assert any("clipped" in note for note in report.notes) and any("silent" in note for note in report.notes)


def test_the_same_audio_in_two_splits_is_refused_even_in_another_format_and_name(good, record):
    record("data/test/negative/copy.flac", like="data/train/negative/c.wav")
    faults = check_data(Data(path=good)).faults
    assert len(faults) == 1
    assert "in two splits, 1 time: test/negative/copy.flac = train/negative/c.wav" in faults[0].remedy


def test_the_same_audio_with_two_labels_is_refused(good, record):
    record("data/train/positive/copy.wav", like="data/train/negative/c.wav")
    assert ["with two labels" in fault.remedy for fault in check_data(Data(path=good)).faults] == [True]


def test_the_same_audio_twice_in_one_split_is_only_noted(good, record):
    record("data/train/negative/copy.wav", like="data/train/negative/c.wav")
    report = check_data(Data(path=good))
    assert report.faults == [] and report.duplicates == [["train/negative/c.wav", "train/negative/copy.wav"]]
    assert any("twice in one split" in note for note in report.notes)


def test_unreadable_files_are_listed_and_refused_over_the_tolerated_share(good):
    (good / "train/negative/bad.wav").write_bytes(b"no audio")
    report = check_data(Data(path=good))
    assert list(report.unreadable) == ["train/negative/bad.wav"]
    fault = report.faults[0]
    assert (fault.key, fault.value) == ("data.max_unreadable", 0.01)
    assert "1 file of 13 (7.7%)" in fault.remedy and "bad.wav" in fault.remedy
    tolerant = load_clips(Data(path=good, max_unreadable=0.08))
    assert len(tolerant) == 12 and any("bad.wav" in note for note in tolerant.report.notes)


def test_a_data_set_of_unreadable_files_alone_is_refused(tmp_path):
    (tmp_path / "positive").mkdir()
    (tmp_path / "positive/a.wav").write_bytes(b"no audio")
    assert [fault.key for fault in check_data(Data(path=tmp_path)).faults] == ["data.max_unreadable"]


def test_a_speaker_in_two_splits_is_refused_where_speakers_are_given(good):
    rows = [f"{p.relative_to(good)},{p.parent.name},{p.parts[-3]},{'ann' if p.stem == 'a' else p.parts[-3]}"
            for p in good.rglob("*.wav")]  # fmt: skip
    (good / "manifest.csv").write_text("\n".join(["path,label,split,speaker", *rows]))
    report = check_data(Data(path=good))
    assert [fault.key for fault in report.faults] == ["speaker"] and "1 speaker in more" in report.faults[0].remedy
    assert report.splits["train"].speakers == 2  # ann and "train"


def test_one_class_only_is_one_fault_not_one_a_split(record, tmp_path):
    for split in SPLITS:
        record(f"{split}/negative/a.wav")
    faults = check_data(Data(path=tmp_path)).faults
    assert len(faults) == 1 and "no positive clips; a detector" in faults[0].remedy


def test_a_split_without_a_class_is_refused_by_name(good):
    for name in ("a", "b"):
        (good / f"val/positive/{name}.wav").unlink()
    assert [fault.remedy.split(";")[0] for fault in check_data(Data(path=good)).faults] == [
        "has no positive clips in val"
    ]


def test_an_empty_folder_is_a_fault_of_the_report_and_refused_on_loading(tmp_path):
    assert "holds no clips" in check_data(Data(path=tmp_path)).faults[0].remedy
    with pytest.raises(InputError, match="holds no clips"):
        load_clips(Data(path=tmp_path))


def test_loading_refuses_with_every_fault_of_the_check_at_once(good, record):
    record("data/test/negative/copy.wav", like="data/train/negative/c.wav")
    record("data/val/positive/copy.wav", like="data/val/negative/c.wav")
    (good / "train/negative/bad.wav").write_bytes(b"no audio")
    with pytest.raises(InputError) as refusal:
        load_clips(Data(path=good))
    assert refusal.value.faults == check_data(Data(path=good)).faults
    assert len(refusal.value.faults) == 3


def test_splits_that_were_made_are_noted(record, tmp_path):
    for i in range(60):
        record(f"{'positive' if i % 2 else 'negative'}/{i}.wav")
    report = check_data(Data(path=tmp_path))
    assert report.made_splits == ["val", "test"] and report.faults == []
    assert sum("was made from" in note for note in report.notes) == 2


def test_loaded_clips_come_in_an_order_that_renaming_does_not_change(good):
    before = load_clips(Data(path=good))
    (good / "train/positive/a.wav").rename(good / "train/positive/zz.wav")
    after = load_clips(Data(path=good))
    assert [clip.content_hash for clip in after.clips] == [clip.content_hash for clip in before.clips]
    assert [clip.clip.split for clip in before.clips] == ["train"] * 4 + ["val"] * 4 + ["test"] * 4
    assert before.of("val") == before.clips[4:8]


def test_samples_are_read_on_demand_in_the_clips_order(good):
    loaded = load_clips(Data(path=good))
    for clip, samples in zip(loaded.clips, stream(loaded.clips), strict=True):
        assert samples.shape == (CLIP_SAMPLES,)
        assert np.array_equal(samples, read_clip(clip.clip.path))


@pytest.mark.parametrize("change", ["replaced", "removed"])
def test_a_file_that_changed_since_the_check_is_refused(good, record, change):
    loaded = load_clips(Data(path=good))
    path = loaded.clips[0].clip.path
    if change == "removed":
        path.unlink()
    else:
        record(str(path.relative_to(good.parent)), like="another")
    with pytest.raises(InputError, match=path.name):
        list(stream(loaded.clips))


def test_progress_counts_every_file(good):
    seen = []
    check_data(Data(path=good), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 12) for i in range(1, 13)]
