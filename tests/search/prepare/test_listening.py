"""What a sweep's stream is refused for before anything is computed, and what comes of it where it is not."""

from pathlib import Path

import pytest

from search.home import open_home
from search.prepare.shared import make_shared
from search.record.identity import Identity
from search.screen.steps import silent_steps
from spaces.errors import InputError
from spaces.sweep import SweepConfig
from tests.trainables.recipes import contents, write_clips
from tests.trainables.stream.streams import write_hours
from tests.trainables.teachers.conftest import CONFIGS, random_model, saved
from trainables.stream.heard import FOLDER, HeardStream


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> dict:
    """Clips, recordings and a teacher of 4 layers."""
    folder = tmp_path_factory.mktemp("parts")
    return {
        "clips": write_clips(folder / "clips"),
        "hours": write_hours(folder / "hours"),
        "teacher": saved(folder / "teacher", random_model(CONFIGS["wav2vec2"])),
    }


@pytest.fixture
def home(tmp_path):
    return open_home(tmp_path / "home")


def sweep(parts, stream: str | Path | None = None, epochs: int = 20, **objective) -> SweepConfig:
    """A sweep on the stream, 300 false accepts an hour, which are two in its 27 s."""
    chosen = {"metric": "val_stream_frr_at_fah", "stream": stream or parts["hours"], "false_accepts_per_hour": 300}
    tree = {
        "name": "heard",
        "data": {"path": parts["clips"], "views": {"count": 2}},
        "teacher": {"model": parts["teacher"], "allow_weak": True},
        "students": ["tiny_conv"],
        "budget": {"epochs": epochs},
        "early_stopping": {"grace_epochs": 4},
        "objective": chosen | objective,
    }
    return SweepConfig.model_validate(tree)


def fault(config: SweepConfig, home) -> str:
    with pytest.raises(InputError) as refused:
        make_shared(config, home, silent_steps)
    assert contents(home.corpora) == {}
    (found,) = refused.value.faults
    return str(found)


def test_a_folder_that_is_not_there_or_holds_no_sound_is_refused_by_its_key(parts, home, tmp_path):
    assert fault(sweep(parts, tmp_path / "none"), home).startswith(
        f"{tmp_path / 'none'}: objective.stream: no such folder"
    )
    (tmp_path / "empty").mkdir()
    assert "objective.stream: holds no WAV, FLAC, OGG or MP3 file" in fault(sweep(parts, tmp_path / "empty"), home)


def test_a_stream_in_which_the_rate_allows_nothing_is_refused_with_what_would_do(parts, home):
    told = fault(sweep(parts, false_accepts_per_hour=0.5), home)
    assert "has 0.45 min beside its wake words, in which 0.5 false accepts an hour are less than one" in told
    assert told.endswith("give at least 2 h, or raise objective.false_accepts_per_hour to 133.5")
    assert "objective.stream_epochs" in fault(sweep(parts, false_accepts_per_hour=133.5), home)


def test_measuring_that_takes_more_than_a_tenth_of_the_training_is_refused_until_it_is_asked_for(parts, home):
    told = fault(sweep(parts), home)
    assert (
        "windows take the time of " in told
        and "more than a tenth of its training if it is to be measured by epoch 4" in told
    )
    assert "set objective.stream_epochs (up to 4)" in told
    assert make_shared(sweep(parts, stream_epochs=4), home, silent_steps).stream is not None


def test_a_rung_is_not_judged_by_an_earlier_epochs_value(parts, home):
    told = fault(sweep(parts, stream_epochs=5), home)
    assert told.startswith("heard: objective.stream_epochs = 5: tiny_conv is compared at epoch 4 already")
    # Where the stream decides nothing, an older value harms nothing.
    assert make_shared(sweep(parts, stream_epochs=5, metric="val_pauc"), home, silent_steps).stream is not None


def test_all_trials_share_one_log_mel_beside_the_corpus_which_is_made_once(parts, home):
    config = sweep(parts, stream_epochs=2)
    shared = make_shared(config, home, silent_steps)
    heard = HeardStream.open(shared.corpus / FOLDER / shared.stream)
    # Two validation clips are the wake word.
    assert [len(track.words) for track in heard.tracks] == [0, 0, 1, 1]
    assert shared.facts["stream"] == shared.stream
    before = contents(shared.corpus)
    assert make_shared(config, home, silent_steps).stream == shared.stream
    assert contents(shared.corpus) == before


def test_a_stream_that_moved_is_the_same_and_one_that_changed_is_another(parts, home, tmp_path):
    def identity(folder: Path) -> Identity:
        config = sweep(parts, folder, stream_epochs=2)
        shared = make_shared(config, home, silent_steps)
        return Identity.of(config, "tiny_conv", shared.spaces["tiny_conv"], shared.origin)

    recorded = identity(parts["hours"])
    assert identity(write_hours(tmp_path / "moved")).changes(recorded) == []
    told = write_hours(tmp_path / "told", "day.wav,3.0,3.5\n")
    (change,) = identity(told).changes(recorded)
    assert (change.key, change.allowed) == ("objective.stream", False)
    bare = sweep(parts).model_copy(update={"objective": sweep(parts).objective.model_copy(update={"stream": None})})
    without = make_shared(bare, home, silent_steps)
    there = Identity.of(bare, "tiny_conv", without.spaces["tiny_conv"], without.origin)
    assert [each.key for each in recorded.changes(there)] == ["objective.stream", "objective.stream_epochs"]
    assert [each.key for each in there.changes(recorded)] == ["objective.stream", "objective.stream_epochs"]
