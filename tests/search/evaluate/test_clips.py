"""Metrics of clips, their intervals, and which clips a split has."""

import numpy as np
import pytest

from search.evaluate.clips import clip_metrics, groups_of, metrics, read_split
from search.evaluate.conditions import AS_RECORDED, Condition, Scenery
from search.evaluate.model import load_model
from spaces.errors import InputError
from spaces.sections import Data
from tests.trainables.recipes import write_tone
from trainables.intervals import bootstrap
from trainables.stream.judge import Judge

EACH = np.arange(200)


def scored(n: int, apart: float, seed: int = 0):
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    return 1 / (1 + np.exp(-(generator.normal(size=n) + apart * (labels - 0.5)))), labels


def test_the_split_that_the_data_bring_is_taken_even_without_the_others(clips):
    read = read_split(Data(path=clips), "test")
    assert (len(read), sum(each.clip.label for each in read)) == (24, 12)
    assert {each.clip.speaker for each in read} == {"s0", "s1", "s2"}
    assert read[0].samples.shape == (16_000,)


def test_without_splits_those_clips_are_taken_that_a_sweep_would_test_on(tmp_path):
    for index in range(40):
        for name in ("positive", "negative"):
            write_tone(tmp_path / name / f"s{index}_nohash_0.wav", 400, index)
    speakers = {each.clip.speaker for each in read_split(Data(path=tmp_path), "test")}
    assert 0 < len(speakers) < 20
    assert speakers.isdisjoint(each.clip.speaker for each in read_split(Data(path=tmp_path), "train"))


def test_a_class_that_is_missing_and_files_that_cannot_be_read_are_refused_together(clips):
    for path in (clips / "test" / "positive").iterdir():
        path.unlink()
    (clips / "test" / "negative" / "bad.wav").write_text("no audio")
    with pytest.raises(InputError) as error:
        read_split(Data(path=clips), "test")
    told = [str(fault) for fault in error.value.faults]
    assert "has no positive clips in test" in told[0] and "bad.wav: cannot be read" in told[1]


def test_clips_of_a_speaker_belong_together_and_others_stand_alone(clips):
    read = read_split(Data(path=clips), "test")
    assert len(set(groups_of(read))) == 3
    write_tone(clips / "test" / "positive" / "anybody.wav", 2000, 0)
    assert len(set(groups_of(read_split(Data(path=clips), "test")))) == 4


@pytest.mark.slow
def test_the_interval_holds_the_value_and_narrows_with_more_clips():
    few, many = (bootstrap(metrics, *scored(n, 2.0), np.arange(n)) for n in (100, 1600))
    for name, estimate in few.items():
        assert estimate.low <= estimate.value <= estimate.high, name
    widths = [found["eer"].high - found["eer"].low for found in (few, many)]
    assert widths[1] == pytest.approx(widths[0] / 4, rel=0.4)


def test_the_interval_of_a_share_is_the_binomials_where_clips_stand_alone():
    found = bootstrap(metrics, *scored(800, 1.0), np.arange(800))["fnr"]
    half = 1.96 * np.sqrt(found.value * (1 - found.value) / 400)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.15)


@pytest.mark.slow
def test_clips_that_are_alike_say_less_than_their_number():
    scores, labels = scored(40, 1.0)
    alike = np.repeat(scores, 10), np.repeat(labels, 10)
    by_speaker = bootstrap(metrics, *alike, np.repeat(np.arange(40), 10))["fnr"]
    alone = bootstrap(metrics, *alike, np.arange(400))["fnr"]
    assert by_speaker.high - by_speaker.low > 2 * (alone.high - alone.low)


def test_the_same_clips_give_the_same_intervals():
    assert bootstrap(metrics, *scored(200, 1.0), EACH) == bootstrap(metrics, *scored(200, 1.0), EACH)


def test_a_model_that_says_what_is_no_number_is_refused(clips):
    broken = Judge(lambda mel: np.full(len(mel), np.nan), "mel")
    with pytest.raises(InputError, match="gives no number for 24 of 24 clips"):
        clip_metrics(broken, read_split(Data(path=clips), "test"), Scenery(), AS_RECORDED)


@pytest.mark.slow
def test_noise_that_drowns_the_clips_costs_what_the_model_knew(clips, weights):
    judge, read = load_model(weights).judge, read_split(Data(path=clips), "test")
    assert clip_metrics(judge, read, Scenery(), AS_RECORDED)["eer"].value == 0
    assert clip_metrics(judge, read, Scenery(), Condition("drowned", -40.0))["eer"].value > 0.2
