"""A synthesised set: readable, voice-disjoint, free of the phrase among negatives, the same on every run."""

import csv
import hashlib
import resource
import subprocess
import sys
from collections import defaultdict

import numpy as np
import pydantic
import pytest
import soundfile

from spaces.errors import InputError
from spaces.sections import Data
from trainables.audio.clips import find_clips
from trainables.audio.espeak import Espeak
from trainables.audio.near_miss import PhraseEar
from trainables.audio.script import SynthesisRequest, deal
from trainables.audio.speakers import ALIKE, accents
from trainables.audio.speech import speak_clip
from trainables.audio.synthesis import synthesise

PHRASE = "hey sirius"
SMALL = {"phrase": PHRASE, "n_positive": 40, "n_hard_negative": 40, "n_negative": 60}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("synth") / "sirius"
    reports = []
    summary = synthesise(SynthesisRequest(**SMALL, out=out), lambda done, n: reports.append((done, n)))
    return summary, reports


@pytest.fixture(scope="module")
def rows(written):
    with (written[0].out / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def audio(written, rows):
    return {row["path"]: soundfile.read(written[0].out / row["path"], dtype="float32") for row in rows}


def test_every_split_has_its_share_of_every_label(written, rows):
    summary, reports = written
    assert summary.clips == {
        "train": {"positive": 28, "negative": 42, "hard_negative": 28},
        "val": {"positive": 6, "negative": 9, "hard_negative": 6},
        "test": {"positive": 6, "negative": 9, "hard_negative": 6},
    }
    assert reports == [(done, 140) for done in range(1, 141)]
    assert len(rows) == 140
    assert all(row["path"].startswith(f"{row['split']}/{row['label']}/") for row in rows)


@pytest.mark.parametrize("path", ["manifest.csv", "."])
def test_distunes_own_reader_accepts_the_manifest_and_the_folder(written, rows, path):
    found = find_clips(Data(path=written[0].out / path))
    assert len(found) == 140
    by_path = {str(clip.path.resolve().relative_to(written[0].out)): clip for clip in found}
    for row in rows:
        clip = by_path[row["path"]]
        assert (clip.split, clip.label, clip.hard) == (
            row["split"], int(row["label"] == "positive"), row["label"] == "hard_negative",
        )  # fmt: skip
    if path == "manifest.csv":
        assert all(by_path[row["path"]].speaker == row["speaker"] for row in rows)


def test_no_speaker_or_twin_of_a_speaker_is_in_two_splits(rows):
    twins = {variant: group for group in ALIKE for variant in group}
    splits = defaultdict(set)
    for row in rows:
        splits[twins.get(row["speaker"], row["speaker"])].add(row["split"])
    assert all(len(its) == 1 for its in splits.values())
    assert len(splits) > 40


def test_every_split_has_several_accents(rows):
    for split in ("train", "val", "test"):
        assert len({row["accent"] for row in rows if row["split"] == split}) >= 5


def test_no_negative_text_is_in_two_splits(rows):
    splits = defaultdict(set)
    for row in rows:
        if row["label"] != "positive":
            splits[row["text"]].add(row["split"])
    assert all(len(its) == 1 for its in splits.values())
    assert {split for its in splits.values() for split in its} == {"train", "val", "test"}


def test_clips_are_audible_unclipped_16_khz_mono_of_at_most_one_and_a_half_seconds(audio):
    for path, (samples, rate) in audio.items():
        assert (rate, samples.ndim) == (16_000, 1)
        assert 0.15 < len(samples) / rate <= 1.5, path
        assert 0.5 < np.abs(samples).max() < 0.75, path
        assert np.sqrt(np.mean(samples**2)) > 0.01, path


def test_positives_differ_in_voice_and_length(rows, audio):
    positives = [audio[row["path"]][0] for row in rows if row["label"] == "positive"]
    assert len({samples.tobytes() for samples in positives}) == 40
    assert len({len(samples) for samples in positives}) > 30


def test_speech_has_more_low_than_high_frequencies(rows, audio):
    shares = []
    for row in rows:
        power = np.abs(np.fft.rfft(audio[row["path"]][0])) ** 2
        shares.append(power[: len(power) // 2].sum() / power.sum())
    assert np.mean(shares) > 0.8


@pytest.mark.slow
def test_the_same_request_writes_the_same_bytes_and_another_seed_does_not(written, tmp_path):
    again = synthesise(SynthesisRequest(**SMALL, out=tmp_path / "again"))
    other = synthesise(SynthesisRequest(**SMALL, out=tmp_path / "other", seed=1))
    assert _hash(again.out) == _hash(written[0].out)
    assert _hash(other.out) != _hash(written[0].out)


@pytest.mark.slow
def test_given_texts_take_the_place_of_the_derived_and_the_everyday_ones(tmp_path):
    given = {"hard_negatives": ("hey serious", "hay series"), "negatives": ("water", "tea", "coffee  please")}
    summary = synthesise(SynthesisRequest(**SMALL, **given, out=tmp_path / "out"))
    with (summary.out / "manifest.csv").open(newline="", encoding="utf-8") as file:
        texts = {label: set() for label in ("positive", "negative", "hard_negative")}
        for row in csv.DictReader(file):
            texts[row["label"]].add(row["text"])
    assert texts == {
        "positive": {PHRASE}, "negative": {"water", "tea", "coffee please"},
        "hard_negative": {"hey serious", "hay series"},
    }  # fmt: skip
    # Two near misses cannot be three: every split gets both.
    assert set(summary.near_misses["train"]) == set(summary.near_misses["test"]) == {"hey serious", "hay series"}


@pytest.mark.slow
def test_long_positives_are_said_faster_and_long_negatives_are_cut(tmp_path):
    request = SynthesisRequest(
        phrase="turn on the kitchen lights please", out=tmp_path / "out", n_positive=30, n_hard_negative=0,
        n_negative=10, negatives=("a sentence that goes on for far longer than a second and a half does",),
    )  # fmt: skip
    summary = synthesise(request)
    lengths = defaultdict(list)
    for path in summary.out.rglob("*.flac"):
        lengths[path.parent.name].append(soundfile.info(path).frames)
    assert set(lengths["negative"]) == {24_000}
    assert max(lengths["positive"]) <= 24_000
    assert summary.clips["train"]["hard_negative"] == 0


@pytest.mark.slow
def test_everyday_negatives_never_hold_the_phrase(tmp_path):
    summary = synthesise(SynthesisRequest(**{**SMALL, "phrase": "water"}, out=tmp_path / "out"))
    espeak = Espeak()
    with (summary.out / "manifest.csv").open(newline="", encoding="utf-8") as file:
        texts = {row["text"] for row in csv.DictReader(file) if row["label"] == "negative"}
    assert texts
    assert PhraseEar(espeak, "water", accents(espeak)).holding(sorted(texts)) == set()


@pytest.mark.parametrize("phrase, why", [("", "says nothing"), ("  ", "says nothing"), ("?!", "says nothing"),
                                         ("日本", "Latin letters"), ("open [[x]]", "Latin letters"),
                                         ("one two three four five six seven eight nine ten", "1.5 s")])  # fmt: skip
def test_a_phrase_that_cannot_be_spoken_in_a_clip_is_refused(tmp_path, phrase, why):
    with pytest.raises(InputError, match=why) as refusal:
        synthesise(SynthesisRequest(phrase=phrase, out=tmp_path / "out"))
    assert [fault.key for fault in refusal.value.faults] == ["--phrase"]
    assert list(tmp_path.iterdir()) == []


def test_all_faults_are_told_at_once_and_the_folder_stays_as_it_was(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    request = SynthesisRequest(phrase="?", out=tmp_path, hard_negatives=("...", "fine"), negatives=("日本",))
    with pytest.raises(InputError) as refusal:
        synthesise(request)
    assert [fault.key for fault in refusal.value.faults] == ["--out", "--phrase", "--hard-negative", "--negative"]
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_given_negatives_that_are_the_phrase_are_refused_each(tmp_path):
    request = SynthesisRequest(
        phrase=PHRASE, out=tmp_path / "out", hard_negatives=("hay sirius", "hey"), negatives=("oh hey sirius",)
    )
    with pytest.raises(InputError) as refusal:
        synthesise(request)
    assert [fault.value for fault in refusal.value.faults] == ["hay sirius", "oh hey sirius"]


@pytest.mark.slow
def test_an_empty_folder_is_taken_and_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    synthesise(SynthesisRequest(**SMALL, out=tmp_path / "empty"))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        synthesise(SynthesisRequest(**SMALL, out=tmp_path / "file" / "below"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]


@pytest.mark.slow
def test_a_disk_that_fills_up_is_one_message_and_leaves_nothing(tmp_path):
    """A limit on file size stands for the full disk: write() fails in both."""
    script = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (2048, {resource.RLIM_INFINITY}))
from pathlib import Path
from spaces.errors import InputError
from trainables.audio.synthesis import SynthesisRequest, synthesise
try:
    synthesise(SynthesisRequest(phrase="hey sirius", out=Path({str(tmp_path / "out")!r})))
except InputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert "cannot be written (File too large); make room" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_leaves_nothing(tmp_path):
    def interrupt(done, n):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesise(SynthesisRequest(**SMALL, out=tmp_path / "out"), interrupt)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [{"n_positive": 0}, {"val_share": 0.5}, {"seed": -1}, {"voices": 3}])
def test_bounds_and_unknown_keys_are_schema_errors(tmp_path, wrong):
    with pytest.raises(pydantic.ValidationError):
        SynthesisRequest(phrase=PHRASE, out=tmp_path, **wrong)


def test_groups_are_dealt_whole_and_by_shares():
    request = SynthesisRequest(phrase=PHRASE, out="out", val_share=0.2, test_share=0.2)
    groups = [("a", "b", "c"), ("d", "e"), *((letter,) for letter in "fghij")]  # 10 members: 6, 2, 2
    dealt = deal(groups, request, "letters")
    assert {split: len(members) for split, members in dealt.items()} == {"train": 6, "val": 2, "test": 2}
    assert sorted(letter for members in dealt.values() for letter in members) == list("abcdefghij")
    assert all(any(set(group) <= set(members) for members in dealt.values()) for group in groups)


def test_a_spoken_clip_has_no_silence_around_it_and_a_fixed_peak():
    samples = speak_clip(Espeak(), PHRASE, "gmw/en+f3", rate_wpm=150, pitch=60)
    assert samples.dtype == np.float32
    assert np.abs(samples).max() == pytest.approx(0.7)
    assert min(abs(samples[0]), abs(samples[-1])) > 0.7 * 10 ** (-50 / 20)
    assert len(speak_clip(Espeak(), "...", "gmw/en")) == 0


def _hash(folder):
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.hexdigest()
