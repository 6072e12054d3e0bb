"""The espeak binding: many voices, and the same words always give the same samples."""

import numpy as np
import pytest

from trainables.audio.espeak import Espeak
from trainables.audio.speakers import ALIKE, SAME_AS_ENGLISH, accents, speaker_groups


@pytest.fixture(scope="module")
def espeak():
    return Espeak()


def test_there_are_nine_accents_and_104_variants_of_each(espeak):
    assert len(espeak.accents()) == 9
    assert len(espeak.variants()) == 104
    assert len(set(espeak.voices())) == 9 * 104
    assert "gmw/en+f3" in espeak.voices()


def test_speech_is_mono_float32_within_full_scale_at_22050_hz(espeak):
    samples, rate = espeak.speak("hey sirius", "gmw/en-US")
    assert (samples.dtype, samples.ndim, rate) == (np.float32, 1, 22_050)
    assert 0.1 < np.abs(samples).max() <= 1
    assert 0.4 < len(samples) / rate < 1.2


def test_what_was_spoken_before_changes_nothing_in_any_variant(espeak):
    """Flutter, breath and echo are where espeak keeps state from one utterance to the next."""
    voices = [f"gmw/en-GB-scotland+{variant}" for variant in espeak.variants()]
    first = [espeak.speak("hey", voice, rate_wpm=150, pitch=30)[0].tobytes() for voice in voices]
    espeak.speak("something else entirely, and louder!", "gmw/en-US+klatt", rate_wpm=300, pitch=90)
    espeak.speak_phonemes((("h", "'aI"),), "gmw/en+Alicia")
    espeak.phonemes("and a question?", "gmw/en-029")
    again = [Espeak().speak("hey", voice, rate_wpm=150, pitch=30)[0].tobytes() for voice in reversed(voices)]
    assert [voice for voice, a, b in zip(voices, first, reversed(again), strict=True) if a != b] == []


def test_every_variant_speaks_and_no_two_speak_alike(espeak):
    spoken = {espeak.speak("hey sirius", f"gmw/en-US+{variant}")[0].tobytes() for variant in espeak.variants()}
    assert len(spoken) == 104


def test_a_higher_rate_is_shorter_and_a_higher_pitch_is_higher(espeak):
    slow, fast = (espeak.speak("hey sirius", rate_wpm=rate)[0] for rate in (120, 220))
    assert len(fast) < 0.8 * len(slow)
    low, high = (_pitch_hz(*espeak.speak("aah", pitch=pitch)) for pitch in (10, 90))
    assert high > 1.3 * low


def test_phonemes_are_mnemonics_by_word_with_stress_on_the_vowel(espeak):
    assert espeak.phonemes("hey sirius", "gmw/en-US") == (("h", "'eI"), ("s", "'I", "r", "I2", ";", "@", "s"))


def test_an_accent_has_its_own_phonemes(espeak):
    assert espeak.phonemes("hey", "gmw/en-GB-x-gbcwmd") == (("'eI",),)


def test_many_texts_are_pronounced_as_each_by_itself(espeak):
    texts = ["hey sirius", "", "Water. Or tea?"]
    assert espeak.pronunciations(texts, "gmw/en") == [espeak.phonemes(text, "gmw/en") for text in texts]
    assert espeak.phonemes("") == espeak.phonemes("...") == ()


@pytest.mark.parametrize("voice", ["gmw/en", "gmw/en-US+f3", "gmw/en-GB-x-gbcwmd+m1"])
def test_speaking_a_texts_phonemes_is_speaking_the_text(espeak, voice):
    from_text, _ = espeak.speak("hey sirius", voice)
    from_phonemes, _ = espeak.speak_phonemes(espeak.phonemes("hey sirius", voice), voice)
    np.testing.assert_array_equal(from_text, from_phonemes)


def test_another_phoneme_is_other_audio(espeak):
    heard, _ = espeak.speak_phonemes((("h", "'eI"),))
    other, _ = espeak.speak_phonemes((("h", "'oU"),))
    assert heard.tobytes() != other.tobytes()


def test_text_is_not_read_as_phonemes(espeak):
    assert len(espeak.phonemes("[[h'eI]]")) != 1
    assert len(espeak.speak("[[h'eI]]")[0]) > len(espeak.speak_phonemes((("h", "'eI"),))[0])


@pytest.mark.parametrize(
    "wrong", [{"voice": "gmw/en+nobody"}, {"voice": "f3"}, {"rate_wpm": 79}, {"rate_wpm": 451}, {"pitch": 100}]
)
def test_an_unknown_voice_or_an_impossible_rate_or_pitch_is_refused(espeak, wrong):
    with pytest.raises(ValueError, match="choose"):
        espeak.speak("hey", **wrong)


def test_every_variant_is_one_speaker_in_one_group(espeak):
    members = [variant for group in speaker_groups(espeak) for variant in group]
    assert sorted(members) == espeak.variants()


def test_variants_that_sound_alike_are_in_one_group(espeak):
    """The distance that ALIKE was made by: log spectra, normalised, root mean square."""
    group_of = {variant: group for group in speaker_groups(espeak) for variant in group}
    spectra = {
        variant: _spectrum(espeak.speak("hey sirius are you", f"gmw/en-US+{variant}")[0])
        for variant in espeak.variants()
    }
    close = [
        (left, right)
        for left in spectra
        for right in spectra
        if left < right and np.sqrt(np.mean((spectra[left] - spectra[right]) ** 2)) < 0.3
    ]
    assert len(close) > len(ALIKE)
    assert [pair for pair in close if group_of[pair[0]] != group_of[pair[1]]] == []


def test_the_accent_left_out_says_what_english_says(espeak):
    assert SAME_AS_ENGLISH in espeak.accents()
    assert SAME_AS_ENGLISH not in accents(espeak)
    left_out, english = (espeak.speak("are you there, sirius?", a)[0] for a in (SAME_AS_ENGLISH, "gmw/en"))
    np.testing.assert_array_equal(left_out, english)


def _pitch_hz(samples, rate):
    """By the cepstrum's peak between 60 and 300 Hz (Noll 1967): the spacing of the harmonics."""
    middle = samples[len(samples) // 3 : len(samples) // 3 + 4096]
    spectrum = np.log(np.abs(np.fft.rfft(middle * np.hanning(len(middle)))) + 1e-3)
    cepstrum = np.fft.irfft(spectrum)
    return rate / (rate // 300 + np.argmax(cepstrum[rate // 300 : rate // 60]))


def _spectrum(samples):
    padded = np.pad(samples, (0, max(0, 30_000 - len(samples))))[:30_000]
    frames = np.lib.stride_tricks.sliding_window_view(padded, 512)[::256] * np.hanning(512)
    power = np.log(np.abs(np.fft.rfft(frames))[:, :200] ** 2 + 1e-3)
    return (power - power.mean()) / power.std()
