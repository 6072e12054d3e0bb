"""Near misses are near the phrase and never the phrase."""

import pytest

from trainables.audio.espeak import Espeak
from trainables.audio.near_miss import NEAR_PHONEMES, PhraseEar, distance, near_misses, sounds, syllables
from trainables.audio.speakers import accents

PHRASE = "hey sirius"


@pytest.fixture(scope="module")
def espeak():
    return Espeak()


@pytest.fixture(scope="module")
def ear(espeak):
    return PhraseEar(espeak, PHRASE, accents(espeak))


@pytest.fixture(scope="module")
def misses(espeak, ear):
    return near_misses(espeak, PHRASE, ear)


def test_words_are_dropped_swapped_and_exchanged_for_ones_that_sound_alike(misses):
    texts = {miss.text for miss in misses}
    assert {"hey", "sirius", "sirius hey", "hey serious", "they sirius"} <= texts


def test_a_syllable_is_dropped_and_a_phoneme_is_exchanged_for_a_near_one(misses):
    edits = {miss.phonemes for miss in misses}
    assert (("h", "'eI"), ("s", "'I", "r", "I2")) in edits
    assert (("h", "'eI"), ("S", "'I", "r", "I2", ";", "@", "s")) in edits


@pytest.mark.slow
@pytest.mark.parametrize("phrase", [PHRASE, "alexa", "go", "day", "bye bye", "turn on the lights"])
def test_no_near_miss_is_said_as_the_phrase_in_any_accent(espeak, phrase):
    ear = PhraseEar(espeak, phrase, accents(espeak))
    misses = near_misses(espeak, phrase, ear)
    assert len(misses) >= 5
    assert len(set(misses)) == len(misses)
    for accent in accents(espeak):
        wanted = sounds(espeak.phonemes(phrase, accent))
        for miss in misses:
            assert sounds(miss.phonemes or espeak.phonemes(miss.text, accent)) != wanted, (accent, miss)


def test_homophones_and_sentences_around_the_phrase_hold_it(ear):
    said = ["hay sirius", "well, hey sirius!", "hey siriuses", "hey serious", "sirius", "they sirius"]
    assert ear.holding(said) == {"hay sirius", "well, hey sirius!", "hey siriuses"}


def test_a_phoneme_that_an_accent_lacks_is_heard_as_what_it_says_instead(espeak):
    """Caribbean English has d for D, so that "day" would be said for the near miss "they"."""
    ear = PhraseEar(espeak, "day", accents(espeak))
    assert ear.holds((("D", "'eI"),))
    assert not ear.holds((("g", "'eI"),))


def test_every_near_phoneme_is_another_sound_and_is_spoken(espeak):
    silence = len(espeak.speak_phonemes(())[0])
    for phoneme, near in NEAR_PHONEMES.items():
        spoken = {
            espeak.speak_phonemes((("@", other, "@") if other[0].isalpha() else (other,),))[0].tobytes()
            for other in (phoneme, *near)
        }
        assert len(spoken) == 1 + len(near), phoneme
        assert all(len(samples) > silence for samples in spoken)


@pytest.mark.parametrize(
    "left, right, steps", [("", "", 0), ("abc", "abc", 0), ("abc", "abd", 1), ("abc", "bc", 1), ("", "ab", 2),
                           ("kitten", "sitting", 3)]
)  # fmt: skip
def test_distance_counts_the_fewest_edits(left, right, steps):
    assert distance(left, right) == distance(right, left) == steps


def test_a_consonant_goes_with_the_vowel_after_it(espeak):
    (word,) = espeak.phonemes("computer", "gmw/en")
    assert syllables(word) == [("k", "@", "m", "p"), ("j", "'u:"), ("t", "3")]
    assert syllables(("s",)) == [("s",)]


def test_sounds_leave_out_stress_word_bounds_glides_and_shades():
    assert sounds((("h", "'eI"), ("s", ",I2", ";", "@", "3:"))) == ("h", "eI", "s", "I", "@", "3:")
