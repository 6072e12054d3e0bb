"""Long recordings: read in pieces, at 16 kHz, with the wake words that a table names."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from spaces.errors import InputError
from trainables.audio.frontend import read_audio, resampled
from trainables.stream.recordings import find_recordings


def write(path: Path, seconds: float = 3.0, rate: int = 16_000, channels: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(0).uniform(-0.3, 0.3, (int(seconds * rate), channels))
    soundfile.write(path, samples, rate)
    return path


def refused(folder: Path) -> list[str]:
    with pytest.raises(InputError) as error:
        find_recordings(folder)
    return [str(fault).replace(str(folder), "") for fault in error.value.faults]


def test_recordings_are_found_with_their_lengths(tmp_path):
    write(tmp_path / "b.wav")
    write(tmp_path / "day" / "a.flac", 2.0)
    found = find_recordings(tmp_path)
    assert [(each.name, each.seconds, each.words) for each in found] == [("b.wav", 3.0, ()), ("day/a.flac", 2.0, ())]


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (8_000, 1)])
def test_pieces_join_to_what_reading_the_file_at_once_gives(tmp_path, monkeypatch, rate, channels):
    monkeypatch.setattr("trainables.stream.recordings.PIECE_SECONDS", 1)
    path = write(tmp_path / "a.wav", 3.7, rate, channels)
    pieces = list(find_recordings(tmp_path)[0].pieces())
    whole = resampled(*read_audio(path))
    assert len(pieces) == 4
    assert np.concatenate(pieces) == pytest.approx(whole, abs=1e-4)


def test_the_table_says_where_wake_words_are(tmp_path):
    write(tmp_path / "a.wav")
    write(tmp_path / "b.wav")
    (tmp_path / "wake_words.csv").write_text("path,start_seconds,end_seconds\na.wav,2.0,2.5\na.wav, 0.5, 1.1\n")
    assert [each.words for each in find_recordings(tmp_path)] == [((0.5, 1.1), (2.0, 2.5)), ()]


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    write(tmp_path / "a.wav")
    (tmp_path / "noise.wav").write_text("no audio")
    rows = ["c.wav,0,1", "a.wav,two,3", "a.wav,1,0.5", "a.wav,2,9", "a.wav,nan,1"]
    (tmp_path / "wake_words.csv").write_text("\n".join(["path,start_seconds,end_seconds", *rows]))
    assert refused(tmp_path) == [
        ": --stream: cannot be read: noise.wav; repair or remove them",
        "/wake_words.csv: path: names no recording in this folder (line 2)",
        "/wake_words.csv: start_seconds, end_seconds: must be numbers, the end after the start and within the "
        "recording (line 3, 4, 5, 6)",
    ]


def test_a_table_of_other_columns_is_refused(tmp_path):
    write(tmp_path / "a.wav")
    (tmp_path / "wake_words.csv").write_text("file,start_seconds\na.wav,1\n")
    remedy = "has no column path and no column end_seconds; its first line is path,start_seconds,end_seconds"
    assert refused(tmp_path) == [f"/wake_words.csv: {remedy}"]


def test_no_folder_and_no_audio_are_refused(tmp_path):
    assert "no such folder" in refused(tmp_path / "gone")[0]
    assert "holds no WAV, FLAC, OGG or MP3 file" in refused(tmp_path)[0]


def test_samples_that_are_no_numbers_are_refused_when_they_are_met(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([0.1, np.nan] * 20_000), 16_000, subtype="FLOAT")
    with pytest.raises(InputError, match="not finite"):
        list(find_recordings(tmp_path)[0].pieces())


def test_the_recordings_beside_the_checkout_are_eight_minutes(enable):
    found = find_recordings(enable / "stream")
    assert sum(each.seconds for each in found) == pytest.approx(480, abs=1)
