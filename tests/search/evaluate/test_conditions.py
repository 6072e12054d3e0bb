"""Noise at its ratio, rooms across pieces, and the same for the same names."""

import numpy as np
import pytest
import soundfile

from search.evaluate.conditions import AS_RECORDED, CONDITIONS, Condition, Scenery
from spaces.errors import InputError
from tests.search.evaluate.conftest import RATE, tone
from trainables.audio.disturbance import in_room, recorded_room

AT_10 = Condition("noise at 10 dB", 10.0)
ROOM = Condition("in a room", room=True)


def rms(samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples))))


@pytest.fixture
def hum(tmp_path):
    soundfile.write(tmp_path / "hum.wav", tone(50, 0.7), RATE)
    return tmp_path / "hum.wav"


@pytest.fixture
def hall(tmp_path):
    response = np.zeros(8000)
    response[[0, 4000]] = 1.0, 0.5
    soundfile.write(tmp_path / "hall.wav", 0.9 * response, RATE)
    return tmp_path / "hall.wav"


def test_the_conditions_are_those_that_are_reported():
    assert [(each.snr_db, each.room) for each in CONDITIONS] == [
        (None, False), (20, False), (10, False), (5, False), (0, False), (None, True)
    ]  # fmt: skip


@pytest.mark.parametrize("recorded", [False, True])
def test_noise_has_its_ratio_to_the_level_that_is_named(recorded, hum):
    scenery = Scenery([hum] if recorded else [])
    samples = np.zeros(33_333, np.float32)
    noise = scenery.scene(samples, "a", AT_10, rms=0.2)
    assert rms(noise) == pytest.approx(0.2 / np.sqrt(10), rel=1e-3)


def test_what_was_recorded_stays_as_it_is():
    samples = tone(300, 2.0)
    assert np.array_equal(Scenery().scene(samples, "a", AS_RECORDED, 0.1), samples)


def test_the_same_name_hears_the_same_and_another_something_else(hum):
    once, again, other = (Scenery([hum]).scene(tone(300, 1.0), name, AT_10, 0.2) for name in ("a", "a", "b"))
    assert np.array_equal(once, again) and not np.array_equal(once, other)


def test_the_ratio_holds_for_each_piece_of_a_recording():
    pieces = [tone(300, 1.0), 0.1 * tone(300, 1.0)]
    noisy = list(Scenery().hours(iter(pieces), "a", AT_10))
    for piece, heard in zip(pieces, noisy, strict=True):
        assert rms(heard - piece) == pytest.approx(rms(piece) / np.sqrt(10), rel=1e-3)


def test_a_room_sounds_on_from_one_piece_to_the_next(hall):
    samples = tone(300, 2.0)
    pieces = np.split(samples, [7_000, 16_100])
    heard = np.concatenate(list(Scenery(rir=[hall]).hours(iter(pieces), "a", ROOM)))
    assert heard == pytest.approx(in_room(samples, recorded_room(hall)), abs=1e-5)


def test_paths_that_hold_nothing_are_refused_together(tmp_path):
    with pytest.raises(InputError) as error:
        Scenery([tmp_path / "gone"], [tmp_path])
    assert [fault.key for fault in error.value.faults] == ["--noise", "--rir"]
