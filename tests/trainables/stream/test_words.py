"""A wake word within silence."""

import numpy as np
import pytest

from tests.trainables.stream.sounds import RATE, tone
from trainables.stream.detector import Streaming
from trainables.stream.words import amid, sounding, within_silence


def test_a_sound_is_found_within_30_db_of_its_loudest():
    samples = np.concatenate([np.zeros(4000), tone(500, 0.4), 0.01 * tone(500, 0.3), np.zeros(800)]).astype(np.float32)
    assert sounding(samples) == pytest.approx((0.25, 0.65), abs=0.01)


def test_every_window_over_a_word_hears_some_of_its_clip():
    word = within_silence("a.wav", tone(2000, 1.0), Streaming())
    windows = [word.samples[at : at + 24_000] for at in range(0, len(word.samples) - 24_000 + 1, 1600)]
    assert all(np.abs(window).max() > 0 for window in windows[:-5])
    # The word begins where the clip does, 1.4 s in; five votes are in after it has left.
    assert word.span == pytest.approx((1.4, 2.4), abs=0.02)
    assert len(word.samples) == RATE * 1.4 + 16_000 + RATE * 1.9


def test_a_word_amid_sound_lies_where_it_was_and_the_sound_has_its_level():
    clip = tone(2000, 1.0)
    alone = within_silence("a.wav", clip, Streaming())
    word = amid(alone, 0.001 * tone(400, 0.7))
    first = round(1.4 * RATE)
    assert len(word.samples) == len(alone.samples) and word.span == alone.span
    assert np.array_equal(word.samples[first : first + RATE], clip)
    for around in (word.samples[:first], word.samples[first + RATE :]):
        assert around.std() == pytest.approx(clip.std(), rel=0.05)


def test_amid_digital_silence_a_word_stays_within_it():
    alone = within_silence("a.wav", tone(2000, 1.0), Streaming())
    assert np.array_equal(amid(alone, np.zeros(RATE, np.float32)).samples, alone.samples)
