"""Views: decided by content, number and seed alone, and doing what their settings say."""

import numpy as np
import pytest
import soundfile

from spaces.errors import InputError
from spaces.sections import Views
from trainables.audio.disturbance import generated_room, in_room, recorded_noise, recorded_room
from trainables.audio.frontend import CLIP_SAMPLES, levelled
from trainables.audio.views import ViewMaker

NOTHING = {"gain_db": (0, 0), "shift_ms": 0, "noise_probability": 0, "rir_probability": 0}
HASHES = [f"clip {i}" for i in range(40)]


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    """A decaying burst in the middle, RMS 0.3, silent at both ends."""
    samples = np.zeros(CLIP_SAMPLES, np.float32)
    samples[4000:20000] = np.random.default_rng(0).uniform(-1, 1, 16000)
    return levelled(samples)


@pytest.fixture
def folder(tmp_path, record):
    for name in ("noise/a.wav", "noise/b.flac", "rir/a.wav", "rir/b.wav"):
        record(name)
    return tmp_path


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


def settings(name: str, folder) -> Views:
    recorded = {"noise": (folder / "noise",), "rir": (folder / "rir",)} if name == "recorded" else {}
    return Views(noise_probability=1, rir_probability=1, **recorded)


def test_view_zero_is_the_clean_clip(clip):
    assert np.array_equal(ViewMaker(Views()).view(clip, "any", 0), clip)


@pytest.mark.parametrize("name", ["generated", "recorded"])
def test_every_view_is_what_the_front_end_would_deliver(clip, folder, name):
    maker = ViewMaker(settings(name, folder))
    for clip_hash in HASHES[:10]:
        view = maker.view(clip, clip_hash, 1)
        assert view.shape == (CLIP_SAMPLES,) and view.dtype == np.float32
        assert np.abs(view).max() <= 1
        assert 0.27 < rms(view) <= 0.3 + 1e-4  # peaks cut off at 1 take a little away


@pytest.mark.parametrize("name", ["generated", "recorded"])
def test_a_view_depends_on_content_number_and_seed_and_on_nothing_made_before(clip, folder, name):
    views = settings(name, folder)
    first, second = ViewMaker(views), ViewMaker(views)
    for k in (1, 2, 3):
        second.view(clip, "something else", k)
    np.random.seed(1)
    expected = first.view(clip, "a", 1)
    assert np.array_equal(second.view(clip, "a", 1), expected)
    others = [first.view(clip, "a", 2), first.view(clip, "b", 1)]
    others.append(ViewMaker(views.model_copy(update={"seed": 1})).view(clip, "a", 1))
    assert not any(np.array_equal(other, expected) for other in others)


def test_with_everything_off_a_view_is_the_clip(clip):
    assert np.allclose(ViewMaker(Views(**NOTHING)).view(clip, "a", 1), clip, atol=1e-6)


def test_shifts_stay_within_bounds_go_both_ways_and_leave_zeros_behind(clip):
    maker = ViewMaker(Views(**{**NOTHING, "shift_ms": 100}))
    starts = [int(np.flatnonzero(maker.view(clip, clip_hash, 1))[0]) - 4000 for clip_hash in HASHES]
    assert max(map(abs, starts)) <= 1600  # 100 ms
    assert min(starts) < -800 and max(starts) > 800
    view = maker.view(clip, HASHES[0], 1)
    shift = starts[0]
    assert np.allclose(view[4000 + shift : 20000 + shift], clip[4000:20000], atol=1e-6)
    assert np.count_nonzero(view) == np.count_nonzero(clip)


@pytest.mark.parametrize("name", ["generated", "recorded"])
@pytest.mark.parametrize("snr_db", [5, 20])
def test_noise_is_added_at_the_asked_ratio(clip, folder, snr_db, name):
    noise = settings(name, folder).noise
    # A sine peaks at 0.42, so next to nothing clips, and what is left of the view beside the clip is the noise.
    maker = ViewMaker(Views(**{**NOTHING, "noise_probability": 1, "snr_db": (snr_db, snr_db), "noise": noise}))
    sine = np.sin(np.arange(CLIP_SAMPLES, dtype=np.float32)) * np.float32(0.3 * np.sqrt(2))
    for clip_hash in HASHES[:5]:
        view = maker.view(sine, clip_hash, 1).astype(np.float64)
        scale = view @ sine / (sine.astype(np.float64) @ sine)
        left = view - scale * sine
        assert 20 * np.log10(rms(scale * sine) / rms(left)) == pytest.approx(snr_db, abs=0.5)


def test_gain_up_clips_and_gain_down_changes_nothing(clip):
    down = ViewMaker(Views(**{**NOTHING, "gain_db": (-6, -6)})).view(clip, "a", 1)
    assert np.allclose(down, clip, atol=1e-6)
    sine = np.sin(0.1 * np.arange(CLIP_SAMPLES, dtype=np.float32)) * np.float32(0.3 * np.sqrt(2))
    up = ViewMaker(Views(**{**NOTHING, "gain_db": (20, 20)})).view(sine, "a", 1)  # peaks of 4.2 meet a limit of 1
    assert rms(up) == pytest.approx(0.3, abs=1e-4)
    assert np.abs(up).max() < 0.35 < np.abs(sine).max()  # nearly a square wave, whose peak is its RMS


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("which", ["noise_probability", "rir_probability"])
def test_noise_and_rooms_come_as_often_as_asked(clip, which, probability):
    maker = ViewMaker(Views(**{**NOTHING, which: probability}))
    share = np.mean([not np.allclose(maker.view(clip, f"{i}", 1), clip, atol=1e-6) for i in range(200)])
    assert share == pytest.approx(probability, abs=0.1)  # three standard deviations of 200 draws


def test_turning_noise_on_leaves_the_shift_alone(clip):
    shift_only = {**NOTHING, "shift_ms": 100}
    with_noise = {**shift_only, "noise_probability": 1, "snr_db": (40, 40)}
    first = np.flatnonzero(ViewMaker(Views(**shift_only)).view(clip, "a", 1))[0]
    noisy = ViewMaker(Views(**with_noise)).view(clip, "a", 1)
    assert np.abs(noisy[first : first + 200]).max() > 10 * np.abs(noisy[first - 200 : first]).max()


def test_a_room_echoes_and_keeps_the_direct_sound_in_place():
    impulse = np.zeros(CLIP_SAMPLES, np.float32)
    impulse[1000] = 0.5
    echoed = in_room(impulse, np.array([1, 0, 0.5], np.float32))
    assert np.flatnonzero(np.abs(echoed) > 1e-4).tolist() == [1000, 1002]
    assert echoed[[1000, 1002]] == pytest.approx([0.5, 0.25])


def test_a_recorded_room_starts_at_its_direct_sound(tmp_path):
    response = np.zeros((3000, 2))
    response[500], response[900] = [-0.8, 0.1], [0.2, 0.1]
    soundfile.write(tmp_path / "room.wav", response, 16_000, subtype="FLOAT")
    room = recorded_room(tmp_path / "room.wav")
    assert room[[0, 400]] == pytest.approx([1.0, -0.25])


def test_a_generated_room_decays_by_sixty_decibels_over_its_reverberation_time():
    room = generated_room(np.random.default_rng(0))
    assert room[0] == 1 and 0.15 <= len(room) / 16_000 <= 0.6
    tenth = len(room) // 10
    # Half a tenth of the way in against half a tenth before the end: 9/10 of 60 dB.
    fall_db = 20 * np.log10(rms(room[1:tenth]) / rms(room[-tenth:]))
    assert fall_db == pytest.approx(54, abs=3)


def test_short_noise_is_repeated_and_long_noise_is_cut_where_asked(tmp_path):
    ramp = np.arange(48_000) / 48_000
    soundfile.write(tmp_path / "long.wav", ramp, 16_000, subtype="FLOAT")
    soundfile.write(tmp_path / "short.wav", ramp[:10_000], 16_000, subtype="FLOAT")
    assert recorded_noise(tmp_path / "long.wav", 0.5)[0] == pytest.approx(0.25, abs=1e-4)
    assert recorded_noise(tmp_path / "long.wav", 0.9999999)[-1] == pytest.approx(ramp[-1])
    assert recorded_noise(tmp_path / "short.wav", 0.0)[[0, 10_000, 20_001]] == pytest.approx([0, 0, ramp[1]])


def test_silent_stretches_of_a_recording_are_filled_with_generated_noise(clip, tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000), 16_000)
    maker = ViewMaker(Views(**{**NOTHING, "noise_probability": 1, "noise": (tmp_path / "silence.wav",)}))
    assert maker.view(clip, "a", 1)[:4000].any()


def test_a_silent_clip_stays_silent():
    silence = np.zeros(CLIP_SAMPLES, np.float32)
    assert not ViewMaker(Views(noise_probability=1, rir_probability=1)).view(silence, "a", 1).any()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 1),
        ("gain_db", (0, 0)),
        ("shift_ms", 5),
        ("noise_probability", 0.5),
        ("rir_probability", 0.5),
        ("snr_db", (1, 2)),
    ],
)
def test_the_fingerprint_covers_every_setting(key, value):
    assert ViewMaker(Views(**{key: value})).fingerprint != ViewMaker(Views()).fingerprint


def test_the_fingerprint_covers_the_content_of_recordings_and_not_their_place(folder, record, clip):
    views = settings("recorded", folder)
    maker = ViewMaker(views)
    (folder / "noise").rename(folder / "moved")
    (folder / "moved" / "a.wav").rename(folder / "moved" / "z.wav")
    moved = ViewMaker(views.model_copy(update={"noise": (folder / "moved",)}))
    assert moved.fingerprint == maker.fingerprint
    assert np.array_equal(
        moved.view(clip, "a", 1), ViewMaker(views.model_copy(update={"noise": (folder / "moved",)})).view(clip, "a", 1)
    )
    record("moved/z.wav", like="another")
    assert ViewMaker(views.model_copy(update={"noise": (folder / "moved",)})).fingerprint != maker.fingerprint


def test_bad_noise_and_room_paths_are_refused_at_once(folder):
    (folder / "empty").mkdir()
    (folder / "rir" / "bad.wav").write_bytes(b"no audio")
    with pytest.raises(InputError) as refusal:
        ViewMaker(Views(noise=(folder / "gone", folder / "empty"), rir=(folder / "rir",)))
    keys = [(fault.key, fault.file) for fault in refusal.value.faults]
    assert keys == [("data.views.noise", str(folder / "gone")), ("data.views.noise", str(folder / "empty")),
                    ("data.views.rir", str(folder / "rir"))]  # fmt: skip
    assert "bad.wav" in refusal.value.faults[-1].remedy


def test_the_noise_and_rooms_of_the_recorded_task_make_views(clip, enable):
    maker = ViewMaker(
        Views(noise=(enable / "noise/train",), rir=(enable / "rir",), noise_probability=1, rir_probability=1)
    )
    views = [maker.view(clip, "a", k) for k in (1, 2, 3)]
    assert all(np.isfinite(view).all() and rms(view) > 0.2 for view in views)


def test_samples_of_another_length_are_refused():
    with pytest.raises(ValueError, match="24000"):
        ViewMaker(Views()).view(np.zeros(16_000, np.float32), "a", 1)
