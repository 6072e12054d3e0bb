"""A stream that was made once says of a student what listening to the recordings says."""

import numpy as np
import pytest
import soundfile
import torch

from spaces.errors import InputError
from spaces.trial import Model
from tests.trainables.stream.sounds import RATE
from tests.trainables.stream.streams import recipe_of
from trainables.stream.detector import Streaming
from trainables.stream.heard import FOLDER, HeardStream, make_stream
from trainables.stream.judge import probabilities, student_judge
from trainables.stream.rates import Session, Track
from trainables.stream.windows import Listener
from trainables.students import build_student

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def student():
    torch.manual_seed(3)
    return build_student(Model()).eval()


@torch.inference_mode()
def scores_of(heard: HeardStream, student, batch_size: int = 16) -> np.ndarray:
    return np.concatenate([probabilities(student(mel)) for mel in heard.mels(CPU, batch_size)])


def test_its_scores_and_its_detector_are_those_of_listening(tmp_path, student):
    recipe = recipe_of(tmp_path)
    heard = HeardStream.open(make_stream(recipe, tmp_path))
    listener, tracks = Listener(student_judge(student)), []
    for sound in recipe.sounds():
        scored = listener.score(sound.pieces())
        tracks.append(Track(sound.name, scored.scores, scored.seconds, sound.words, sound.counts_false))
    listened, session = Session(tracks, Streaming()), heard.session(scores_of(heard, student))
    spread = np.concatenate([track.scores for track in tracks]).std()
    for ours, theirs in zip(session.tracks, listened.tracks, strict=True):
        # Half precision, as the corpus has it.
        assert np.abs(ours.scores - theirs.scores).max() < 0.02 * spread
        assert (ours.name, ours.seconds, ours.words) == (theirs.name, theirs.seconds, theirs.words)
    assert (session.hours, session.n_words) == (listened.hours, 3)
    assert session.threshold_for(200) == pytest.approx(listened.threshold_for(200), abs=0.05 * spread)


def test_batches_change_no_score_and_span_no_two_recordings(tmp_path, student):
    heard = HeardStream.open(make_stream(recipe_of(tmp_path), tmp_path))
    assert [len(batch) for batch in heard.mels(CPU, 100)][:4] == [100, 86, 56, 27]
    assert scores_of(heard, student, 100) == pytest.approx(scores_of(heard, student, 7), abs=1e-6)


def test_words_of_the_recordings_come_before_clips(tmp_path):
    apart = HeardStream.open(make_stream(recipe_of(tmp_path / "apart"), tmp_path))
    told = HeardStream.open(make_stream(recipe_of(tmp_path / "told", "day.wav,3.0,3.5\n"), tmp_path))
    assert [track.name for track in apart.tracks] == ["day.wav", "night.flac", "0.wav", "1.wav", "2.wav"]
    assert [track.words for track in told.tracks] == [((3.0, 3.5),), ()]
    assert apart.session(np.zeros(apart.n_windows)).hours == pytest.approx(27 / 3600)
    assert told.session(np.zeros(told.n_windows)).hours == pytest.approx(25 / 3600)


def test_it_is_made_once_and_anew_where_anything_of_it_changed(tmp_path):
    recipe, told = recipe_of(tmp_path), []
    folder = make_stream(recipe, tmp_path, lambda done, of: told.append((done, of)))
    assert told[-1] == (5, 5) and folder == tmp_path / FOLDER / recipe.fingerprint
    make_stream(recipe_of(tmp_path), tmp_path, lambda done, of: pytest.fail("it is there"))
    slower = recipe_of(tmp_path, streaming=Streaming(hop_ms=200))
    (tmp_path / "words" / "0.wav").rename(tmp_path / "words" / "unused.wav")
    soundfile.write(tmp_path / "hours" / "day.wav", np.full(5 * RATE, 0.1), RATE)
    assert len({recipe.fingerprint, slower.fingerprint, recipe_of(tmp_path).fingerprint}) == 3


def test_what_an_interrupted_making_left_is_not_opened(tmp_path):
    recipe = recipe_of(tmp_path)

    def stop(done: int, of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_stream(recipe, tmp_path, stop)
    with pytest.raises(FileNotFoundError):
        HeardStream.open(tmp_path / FOLDER / recipe.fingerprint)
    assert HeardStream.open(make_stream(recipe, tmp_path)).n_windows == 186 + 56 + 3 * 27


def test_a_full_disk_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    recipe = recipe_of(tmp_path)
    monkeypatch.setattr("trainables.stream.heard.BYTES_A_SECOND", 10**15)
    with pytest.raises(
        InputError, match=r"objective.stream: its log-mel needs 2.7e\+07 GB and .* take a shorter stream"
    ):
        make_stream(recipe, tmp_path)
    assert [path.suffix for path in (tmp_path / FOLDER).iterdir()] == [".lock"]


@pytest.mark.parametrize("words", ["", "night.flac,3.0,3.5\n"])
def test_windows_are_foreseen_by_lengths_and_never_too_few(tmp_path, words):
    recipe = recipe_of(tmp_path, words)
    n_made = HeardStream.open(make_stream(recipe, tmp_path)).n_windows
    assert n_made <= recipe.n_windows <= n_made + 5
