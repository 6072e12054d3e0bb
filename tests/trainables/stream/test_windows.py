"""Windows over a recording: the same whatever the pieces, and as clips of their own hear them."""

import numpy as np
import pytest
import torch

from spaces.trial import Model
from trainables.audio.frontend import CLIP_SAMPLES, LogMel, levelled
from trainables.stream import windows
from trainables.stream.judge import Judge, student_judge
from trainables.stream.windows import Listener
from trainables.students import build_student

RATE = 16_000


def speechlike(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise whose loudness rises and falls as syllables do, 40 dB and more, so that the front-end clips it."""
    generator = np.random.default_rng(seed)
    n = int(seconds * RATE)
    turns = np.arange(0, n + 3200, 3200)
    loudness = np.interp(np.arange(n), turns, generator.uniform(-50, 0, len(turns)))
    noise = np.convolve(generator.normal(size=n), np.ones(4) / 4, "same")
    return (0.2 * noise * 10 ** (loudness / 20)).astype(np.float32)


@pytest.fixture(scope="module")
def student():
    torch.manual_seed(3)
    return build_student(Model())


def hearing(heard: list, hears: str = "mel") -> Judge:
    """A judge that keeps what it hears."""

    def score(batch):
        heard.append(batch.clone())
        return np.zeros(len(batch))

    return Judge(score, hears)


def test_a_recording_has_a_window_every_hop_that_fits(student):
    scored = Listener(student_judge(student), hop_ms=100).score([speechlike(5.0)])
    assert scored.scores.shape == (36,) and scored.seconds == 5.0
    assert Listener(student_judge(student), hop_ms=250).score([speechlike(5.0)]).scores.shape == (15,)


def test_a_short_recording_is_one_window(student):
    scored = Listener(student_judge(student)).score([speechlike(0.4)])
    assert scored.scores.shape == (1,) and scored.seconds == 0.4


@pytest.mark.parametrize("exact", [False, True])
def test_neither_pieces_nor_parts_change_a_score(student, exact, monkeypatch):
    samples = speechlike(9.0)
    listener = Listener(student_judge(student), exact=exact)
    whole = listener.score([samples]).scores
    pieces = np.split(samples, [100, 101, 30_000, 30_000, 77_777])
    assert np.array_equal(listener.score(pieces).scores, whole)
    monkeypatch.setattr(windows, "PART_SAMPLES", 2 * RATE)
    assert listener.score(pieces).scores == pytest.approx(whole, abs=1e-6)


def test_exact_windows_are_the_front_ends_clips():
    samples, heard = speechlike(2.0), []
    Listener(hearing(heard), exact=True).score([samples])
    clips = np.stack([levelled(samples[at : at + CLIP_SAMPLES]) for at in range(0, 8001, 1600)])
    assert torch.equal(torch.cat(heard), LogMel()(torch.from_numpy(clips)))


def test_a_judge_of_audio_hears_windows_at_the_recordings_level():
    samples, heard = speechlike(2.0), []
    Listener(hearing(heard, "audio")).score([samples])
    assert torch.equal(torch.cat(heard)[2], torch.from_numpy(samples[3200 : 3200 + CLIP_SAMPLES]))


@pytest.mark.parametrize("level", [1.0, 0.003])
def test_shared_frames_are_those_of_clips_but_for_ends_and_clipping(level):
    # So flat that the front-end clips nothing.
    samples = np.float32(level) * np.random.default_rng(0).uniform(-0.5, 0.5, 4 * RATE).astype(np.float32)
    shared, exact = [], []
    Listener(hearing(shared)).score([samples])
    Listener(hearing(exact), exact=True).score([samples])
    apart = (torch.cat(shared) - torch.cat(exact)).abs()
    # The two frames at each end are reflected in a clip, which moves the mean of all a little.
    assert apart[..., 2:-2].max() < 0.1 and apart.mean() < 0.02


def test_where_the_front_end_clips_shared_frames_stay_near():
    samples = speechlike(6.0)
    shared, exact = [], []
    Listener(hearing(shared)).score([samples])
    Listener(hearing(exact), exact=True).score([samples])
    apart = (torch.cat(shared) - torch.cat(exact)).abs()  # of values with a standard deviation of 1
    assert apart.mean() < 0.05
    assert np.abs(levelled(samples[:CLIP_SAMPLES])).max() == 1


def test_silence_scores_like_the_front_ends_silence(student):
    judge = student_judge(student)
    silence = judge.score_clips(np.zeros((1, CLIP_SAMPLES), np.float32))
    assert Listener(judge).score([np.zeros(3 * RATE, np.float32)]).scores == pytest.approx(np.repeat(silence, 16))
