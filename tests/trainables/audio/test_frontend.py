"""Reading, conforming and the log-mel."""

import numpy as np
import pytest
import soundfile
import torch

from trainables.audio.frontend import (
    CLIP_SAMPLES,
    N_FRAMES,
    LogMel,
    UnreadableAudioError,
    centred,
    conform,
    read_audio,
    read_clip,
)


def tone(hertz: float, rate: int, seconds: float, amplitude: float = 0.5) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000, 22_051])
@pytest.mark.parametrize("n_channels", [1, 2, 6])
def test_any_rate_and_channel_count_becomes_a_clip_with_the_same_tone(rate, n_channels):
    samples = np.repeat(tone(1000, rate, 2.0)[:, None], n_channels, axis=1)
    clip = conform(samples, rate)
    assert clip.shape == (CLIP_SAMPLES,) and clip.dtype == np.float32
    assert np.abs(np.fft.rfft(clip)).argmax() == 1500  # 1000 Hz in steps of 1/1.5 Hz


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_every_format_is_read(tmp_path, suffix):
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, np.stack([tone(440, 16_000, 1.0)] * 2, axis=1), 16_000)
    samples, rate = read_audio(path)
    assert rate == 16_000 and samples.ndim == 1
    assert np.abs(np.fft.rfft(read_clip(path))).argmax() == 660


def test_channels_are_averaged(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([[0.5, -0.25], [0.25, 0.25]]), 16_000)
    assert read_audio(tmp_path / "a.wav")[0].tolist() == [0.125, 0.25]


def test_short_clips_are_padded_on_both_sides_and_long_ones_keep_their_middle():
    assert centred(np.array([1, 2, 3], np.float32), 6).tolist() == [0, 1, 2, 3, 0, 0]
    assert centred(np.array([1, 2, 3, 4, 5, 6], np.float32), 3).tolist() == [2, 3, 4]


def test_a_clip_has_an_rms_of_three_tenths_within_full_scale():
    clip = conform(tone(500, 16_000, 1.5, amplitude=0.01), 16_000)
    assert np.sqrt(np.mean(clip**2)) == pytest.approx(0.3, abs=1e-4)
    assert clip.max() == pytest.approx(0.3 * np.sqrt(2), abs=1e-4)


def test_peaks_over_full_scale_are_cut_off():
    impulse = np.zeros(CLIP_SAMPLES, np.float32)
    impulse[100] = -0.5  # an RMS of 0.3 would need a peak of 46
    assert conform(impulse, 16_000)[100] == -1.0


def test_silence_stays_silent():
    assert not conform(np.zeros(10, np.float32), 16_000).any()


@pytest.mark.parametrize("content", [b"", b"not audio at all", b"RIFF\x00\x00\x00\x00WAVEfmt "])
def test_a_file_that_is_not_audio_is_named_unreadable(tmp_path, content):
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(UnreadableAudioError):
        read_audio(path)


def test_missing_headerless_empty_and_non_finite_files_are_unreadable(tmp_path):
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), 16_000, subtype="FLOAT")
    (tmp_path / "headerless.raw").write_bytes(bytes(100))
    for name, reason in {"none.wav": "no such file", "empty.wav": "no samples", "nan.wav": "not finite",
                         "headerless.raw": "samplerate"}.items():  # fmt: skip
        with pytest.raises(UnreadableAudioError, match=reason):
            read_audio(tmp_path / name)


def test_the_log_mel_has_64_bands_and_151_frames_with_zero_mean_and_unit_variance():
    mel = LogMel()(torch.randn(3, CLIP_SAMPLES, generator=torch.Generator().manual_seed(0)))
    assert mel.shape == (3, 1, 64, N_FRAMES) and N_FRAMES == 151
    assert torch.allclose(mel.mean(dim=(1, 2, 3)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(mel.var(dim=(1, 2, 3), correction=0), torch.ones(3), atol=1e-3)


def test_a_tone_is_loudest_in_its_own_mel_band():
    mel = LogMel()(torch.from_numpy(tone(1000, 16_000, 1.5))[None])
    # HTK: mel(f) = 2595 log10(1 + f / 700); band b is centred at (b + 1) / 65 of mel(8000) = 2840.
    band = 2595 * np.log10(1 + 1000 / 700) / (2595 * np.log10(1 + 8000 / 700)) * 65 - 1
    assert mel[0, 0, :, 75].argmax().item() == round(band)


def test_a_clip_does_not_depend_on_its_neighbours_in_the_batch():
    # A quiet clip beside one 60 dB louder: a clamp 80 dB under the batch's peak would cut into it.
    quiet = 1e-3 * torch.randn(1, CLIP_SAMPLES, generator=torch.Generator().manual_seed(1))
    quiet[:, ::2] *= 0.01
    loud = torch.from_numpy(tone(1000, 16_000, 1.5, amplitude=100.0))[None]
    alone, beside = LogMel()(quiet), LogMel()(torch.cat([loud, quiet]))[1:]
    assert torch.allclose(alone, beside, atol=1e-5)


def test_silence_gives_zeros_rather_than_nan():
    assert LogMel()(torch.zeros(1, CLIP_SAMPLES)).abs().max() == 0
