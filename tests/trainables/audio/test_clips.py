"""Every layout is read as the same clips, and what is wrong in one is said at once."""

import json
from collections import Counter
from pathlib import Path

import pytest

from spaces.errors import InputError
from spaces.sections import Data
from trainables.audio.clips import Clip, find_clips, list_entries

SPLITS = ("train", "val", "test")


def counts(clips: list[Clip]) -> Counter:
    return Counter((clip.split, clip.label, clip.hard) for clip in clips)


def faults(data: Data) -> list:
    with pytest.raises(InputError) as refusal:
        find_clips(data)
    return refusal.value.faults


def test_class_folders_under_split_folders_keep_their_splits(record, tmp_path):
    for split in ("train", "validation", "test"):
        (
            record(f"{split}/positive/deep/a.wav"),
            record(f"{split}/negative/b.flac"),
            record(f"{split}/hard_negative/c.WAV"),
        )
    record("background/rain.wav"), record("train/positive/.hidden.wav")
    (tmp_path / "train" / "positive" / "old.m4a").touch()
    clips = find_clips(Data(path=tmp_path))
    assert counts(clips) == {(s, label, hard): 1 for s in SPLITS for label, hard in [(1, False), (0, False), (0, True)]}
    assert list_entries(Data(path=tmp_path)).skipped == {"background/": 1, "*.m4a": 1}


def test_class_folders_get_splits_and_speakers_only_from_speech_commands_names(record, tmp_path):
    for i in range(30):
        record(f"positive/{i:08x}_nohash_0.wav"), record(f"negative/{i}.wav")
    clips = find_clips(Data(path=tmp_path))
    assert {clip.split for clip in clips} == set(SPLITS)
    assert {clip.speaker for clip in clips if clip.label} == {f"{i:08x}" for i in range(30)}
    assert {clip.speaker for clip in clips if not clip.label} == {None}


@pytest.mark.parametrize("given", ["file", "folder"])
def test_a_csv_manifest_needs_only_path_and_label(record, tmp_path, given):
    outside = record("elsewhere/far.wav")
    lines = ["path,label,split,speaker,hard,word"]
    for split in SPLITS:
        record(f"data/{split}1.wav"), record(f"data/{split}0.wav"), record(f"data/{split}h.wav")
        lines += [f"{split}1.wav,Positive,{split},ann{split},,x", f"{split}0.wav, 0 ,{split},none,0,x"]
        lines += [f"{split}h.wav,negative,{split},,1,x"]
    lines += [f"{outside},hard_negative,train,bob,1,x", "../elsewhere/far.wav,1,test,bob,,x", "rain.wav,noise,,,,"]
    manifest = tmp_path / "data" / "manifest.csv"
    manifest.write_text("\n".join(lines), encoding="utf-8-sig")
    data = Data(path=manifest if given == "file" else manifest.parent, allow_outside=True)
    clips = find_clips(data)
    assert len(clips) == 11
    assert counts(clips)[("train", 0, True)] == 2 and counts(clips)[("test", 1, False)] == 2
    assert {clip.speaker for clip in clips} == {"anntrain", "annval", "anntest", "bob", None}
    assert list_entries(data).skipped == {"noise": 1}


@pytest.mark.parametrize("given", ["file", "folder"])
def test_a_manifest_lists_no_file_outside_its_folder_unless_it_is_trusted(record, tmp_path, given):
    far, near = record("elsewhere/far.wav"), record("data/near.wav")
    record("data-more/twin.wav")
    rows = ["path,label,split", f"{far},1,train", "../elsewhere/far.wav,1,val", "deep/../../data-more/twin.wav,0,train"]
    rows += [f"{near},1,train", "deep/../near.wav,0,test", "../elsewhere/gone.wav,1,train"]
    manifest = tmp_path / "data" / "manifest.csv"
    manifest.write_text("\n".join(rows))
    found = faults(Data(path=manifest if given == "file" else manifest.parent))
    # One that is not there is told as the others, not as missing: nobody learns from a refusal what lies elsewhere.
    assert [(fault.file, fault.key) for fault in found] == [(str(manifest), "path")]
    assert f"4 listed files outside {manifest.parent}: " in found[0].remedy and "near.wav" not in found[0].remedy
    assert "data.allow_outside=true (--allow-outside)" in found[0].remedy
    record("elsewhere/gone.wav")
    assert len(find_clips(Data(path=manifest, allow_outside=True))) == 6


@pytest.mark.parametrize("style", ["above", "absolute", "dots"])
def test_the_platforms_manifests_too(record, tmp_path, style):
    (tmp_path / "splits").mkdir()
    for split in SPLITS:
        path = record(f"raw/{split}.wav")
        name = {"above": f"raw/{path.name}", "absolute": str(path), "dots": f"../raw/{path.name}"}[style]
        (tmp_path / "splits" / f"{split}.json").write_text(json.dumps({"files": [{"path": name, "label": 1}]}))
    found = faults(Data(path=tmp_path / "splits"))
    assert [Path(fault.file).stem for fault in found] == list(SPLITS)
    assert all("1 listed file outside" in fault.remedy for fault in found)
    assert len(find_clips(Data(path=tmp_path / "splits", allow_outside=True))) == 3


def test_a_link_below_the_folder_may_lead_anywhere(record, tmp_path):
    for split in SPLITS:
        record(f"disk/{split}.wav")
    (tmp_path / "data").mkdir()
    record("secret.wav")
    (tmp_path / "data" / "clips").symlink_to(tmp_path / "disk")
    rows = ["path,label,split", *(f"clips/{split}.wav,1,{split}" for split in SPLITS)]
    manifest = tmp_path / "data" / "manifest.csv"
    manifest.write_text("\n".join(rows))
    assert len(find_clips(Data(path=manifest))) == 3
    # And no further: to the system this is a file beside disk/.
    manifest.write_text("\n".join([*rows, "clips/../secret.wav,1,train"]))
    assert "data/secret.wav" in faults(Data(path=manifest))[0].remedy


def test_all_faults_of_a_csv_manifest_are_reported_at_once(record, tmp_path):
    record("a.wav")
    rows = ["path,label,split,hard", "a.wav,positive,fold1,", "a.wav,positive,fold1,", ",negative,train,"]
    rows += ["a.wav,positive,train,1", "a.wav,negative,,", *(f"gone{i:02}.wav,negative,train," for i in range(12))]
    (tmp_path / "m.csv").write_text("\n".join(rows))
    found = faults(Data(path=tmp_path / "m.csv"))
    assert [(fault.key, fault.value) for fault in found] == [
        ("split", "fold1"), ("path", ""), ("hard", "1"), ("split", None), ("path", None),
    ]  # fmt: skip
    assert "line 2, 3" in found[0].remedy
    assert "12 listed files" in found[-1].remedy and "gone09.wav and 2 more" in found[-1].remedy


@pytest.mark.parametrize("text", ["file,class\na.wav,1\n", "", "path,label\n\xff"])
def test_a_csv_without_the_columns_or_the_encoding_is_refused(tmp_path, text):
    (tmp_path / "manifest.csv").write_bytes(text.encode("latin-1"))
    assert len(faults(Data(path=tmp_path))) == 1


@pytest.mark.parametrize("style", ["beside", "above", "windows", "absolute"])
def test_the_platforms_manifests_are_read_from_wherever_the_platform_ran(record, tmp_path, style):
    for split in SPLITS:
        paths = [
            record(f"splits/raw/{split}{i}.wav") if style == "beside" else record(f"raw/{split}{i}.wav")
            for i in range(4)
        ]
        names = [str(path) if style == "absolute" else f"raw/{path.name}" for path in paths]
        names = [name.replace("/", "\\") for name in names] if style == "windows" else names
        kinds = [{"category": "positive"}, {"category": "hard_negative"}, {"category": "background"}, {"label": 0}]
        files = [
            {"path": name, "duration": 1.0, "sample_rate": 16000, **kind}
            for name, kind in zip(names, kinds, strict=True)
        ]
        manifest = tmp_path / "splits" / f"{split}.json"
        manifest.parent.mkdir(exist_ok=True)
        manifest.write_text(json.dumps({"files": files, "categories": {"positive": 1}, "total_files": 4}))
    data = Data(path=tmp_path / "splits", allow_outside=style != "beside")
    assert counts(find_clips(data)) == {
        (s, label, hard): 1 for s in SPLITS for label, hard in [(1, False), (0, True), (0, False)]
    }
    assert list_entries(data).skipped == {"background": 3}


@pytest.mark.parametrize(
    "content",
    [
        "[]", "{}", "not json", "[" * 100_000, '{"files": ["a.wav"]}', '{"files": []}',
        '{"files": [{"path": "gone.wav", "label": 1}]}',
    ],
)  # fmt: skip
def test_a_json_manifest_that_is_not_the_platforms_is_refused(tmp_path, content):
    (tmp_path / "train.json").write_text(content)
    assert [fault.file for fault in faults(Data(path=tmp_path))] == [str(tmp_path / "train.json")]


def speech_commands(record, tmp_path: Path) -> None:
    for word in ("yes", "no", "up"):
        for speaker in ("aa", "bb", "cc", "dd"):
            record(f"{word}/{speaker}_nohash_0.wav")
    record("_background_noise_/rain.wav")


def test_speech_commands_keeps_its_own_lists_and_leaves_noise_out(record, tmp_path):
    speech_commands(record, tmp_path)
    (tmp_path / "validation_list.txt").write_text(
        "".join(f"{w}/bb_nohash_0.wav\n" for w in ("yes", "no", "up", "gone"))
    )
    (tmp_path / "testing_list.txt").write_text("".join(f"{w}/cc_nohash_0.wav\r\n" for w in ("yes", "no", "up")))
    data = Data(path=tmp_path, keyword="yes")
    clips = find_clips(data)
    assert {clip.speaker: clip.split for clip in clips} == {"aa": "train", "bb": "val", "cc": "test", "dd": "train"}
    assert counts(clips) == {("train", 1, False): 2, ("train", 0, False): 4, ("val", 1, False): 1,
                             ("val", 0, False): 2, ("test", 1, False): 1, ("test", 0, False): 2}  # fmt: skip
    assert list_entries(data).skipped == {"_background_noise_/": 1}


def test_speech_commands_without_lists_is_split_by_speaker(record, tmp_path):
    speech_commands(record, tmp_path)
    clips = find_clips(Data(path=tmp_path, keyword="no"))
    splits = {clip.speaker: {other.split for other in clips if other.speaker == clip.speaker} for clip in clips}
    assert sorted(map(len, splits.values())) == [1, 1, 1, 1]
    assert set.union(*splits.values()) == set(SPLITS)


def test_a_keyword_is_asked_for_and_checked(record, tmp_path):
    speech_commands(record, tmp_path)
    assert faults(Data(path=tmp_path))[0].key == "data.keyword"
    wrong = faults(Data(path=tmp_path, keyword="yess"))[0]
    assert (wrong.value, "no, up, yes" in wrong.remedy) == ("yess", True)


def test_a_keyword_beside_a_manifest_is_refused_rather_than_ignored(tmp_path):
    (tmp_path / "m.csv").write_text("path,label\n")
    assert faults(Data(path=tmp_path / "m.csv", keyword="yes"))[0].key == "data.keyword"


def test_missing_empty_and_unknown_data_is_refused_with_what_was_expected(record, tmp_path):
    assert "no such file or folder" in faults(Data(path=tmp_path / "nowhere"))[0].remedy
    assert "expected positive/ and negative/" in faults(Data(path=tmp_path))[0].remedy
    assert "neither a folder" in faults(Data(path=record("clip.wav")))[0].remedy
    for name in ("train", "val"):
        record(f"{name}/positive/a.wav")
    (tmp_path / "test" / "negative").mkdir(parents=True)
    assert [fault.file for fault in faults(Data(path=tmp_path))] == [str(tmp_path / "test")]


def test_the_recorded_wake_word_task_has_the_clips_its_readme_counts(enable):
    clips = find_clips(Data(path=enable / "manifest.csv"))
    assert Counter((clip.split, clip.label) for clip in clips) == {
        ("train", 1): 180, ("train", 0): 1080, ("val", 1): 60, ("val", 0): 360, ("test", 1): 60, ("test", 0): 360,
    }  # fmt: skip
    assert Counter(clip.split for clip in clips if clip.hard) == {"train": 504, "val": 168, "test": 168}
    assert list_entries(Data(path=enable)).skipped == {"noise": 60, "rir": 7, "stream_negative": 8}
