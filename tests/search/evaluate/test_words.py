"""The wake words of a split as a detector meets them."""

from search.evaluate.clips import read_split
from search.evaluate.conditions import AS_RECORDED, Scenery
from search.evaluate.model import load_model
from search.evaluate.words import word_track, words_of
from spaces.sections import Data
from trainables.stream.detector import Streaming
from trainables.stream.rates import Session
from trainables.stream.windows import Listener


def test_the_model_fires_at_its_words_in_time(clips, weights):
    streaming = Streaming()
    listener = Listener(load_model(weights).judge)
    words = words_of(read_split(Data(path=clips), "test"), streaming)
    tracks = [word_track(listener, word, Scenery(), AS_RECORDED) for word in words]
    tally = Session(tracks, streaming).tally(0.6)
    assert len(words) == 12 and tally.n_hit == 12 and all(-1 < delay < 1.5 for delay in tally.delays)
