"""Wake words as a detector meets them."""

import numpy as np
import pytest

from search.evaluate.clips import read_split
from search.evaluate.conditions import AS_RECORDED, Scenery
from search.evaluate.model import load_model
from search.evaluate.words import sounding, word_track, words_of
from spaces.sections import Data
from tests.search.evaluate.conftest import RATE, tone
from trainables.stream.detector import Streaming
from trainables.stream.rates import Session
from trainables.stream.windows import Listener


def test_a_sound_is_found_within_30_db_of_its_loudest():
    samples = np.concatenate([np.zeros(4000), tone(500, 0.4), 0.01 * tone(500, 0.3), np.zeros(800)]).astype(np.float32)
    assert sounding(samples) == pytest.approx((0.25, 0.65), abs=0.01)


def test_every_window_over_a_word_hears_some_of_its_clip(clips):
    words = words_of(read_split(Data(path=clips), "test"), Streaming())
    assert len(words) == 12
    word = words[0]
    windows = [word.samples[at : at + 24_000] for at in range(0, len(word.samples) - 24_000 + 1, 1600)]
    assert all(np.abs(window).max() > 0 for window in windows[:-5])
    # The word begins where the clip does, 1.4 s in; five votes are in after it has left.
    assert word.span == pytest.approx((1.4, 2.4), abs=0.02)
    assert len(word.samples) == RATE * 1.4 + 16_000 + RATE * 1.9


def test_the_model_fires_at_its_words_in_time(clips, weights):
    streaming = Streaming()
    listener = Listener(load_model(weights).judge)
    words = words_of(read_split(Data(path=clips), "test"), streaming)
    tracks = [word_track(listener, word, Scenery(), AS_RECORDED) for word in words]
    tally = Session(tracks, streaming).tally(0.6)
    assert tally.n_hit == 12 and all(-1 < delay < 1.5 for delay in tally.delays)
