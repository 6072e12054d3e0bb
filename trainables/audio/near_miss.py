"""Hard negatives of a phrase: what is nearly it, by edits of its words and phonemes."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise

from trainables.audio.espeak import Espeak, Phonemes
from trainables.audio.speech import Utterance
from trainables.audio.vocabulary import english_words

REFERENCE_ACCENT = "gmw/en-US"
N_REAL_WORDS = 10  # that take the place of one word of the phrase
VOWEL_SIGNS = "aAeEiIoOuUV03@"

# espeak's English mnemonics and their neighbours. Consonants differ in place or manner, never in voice alone, which
# many speakers drop at a word's end; vowels are a step apart that no accent takes for the same vowel.
NEAR_PHONEMES = {
    "p": ("t", "f"), "b": ("d", "v"), "t": ("k", "s"), "d": ("g", "z"), "k": ("t", "p"), "g": ("d", "b"),
    "t#": ("k", "s"), "f": ("s", "p"), "v": ("b", "z"), "T": ("s", "p"), "D": ("z", "b"), "s": ("S", "f", "t"),
    "z": ("Z", "v"), "S": ("s", "tS"), "Z": ("z", "dZ"), "tS": ("S", "t"), "dZ": ("Z", "d"), "h": ("f", "w"),
    "m": ("n", "b"), "n": ("m", "l"), "N": ("m", "k"), "l": ("r", "n"), "r": ("l", "v"), "w": ("l", "b"),
    "j": ("w", "l"), "I": ("a", "0"), "i:": ("aI", "u:"), "E": ("V", "u:"), "a": ("I", "U"), "aa": ("i:", "U"),
    "A:": ("i:", "u:"), "O:": ("i:", "aI"), "0": ("I", "E"), "V": ("E", "I"), "U": ("a", "E"), "u:": ("i:", "A:"),
    "3:": ("i:", "OI"), "eI": ("i:", "oU", "aI"), "aI": ("eI", "OI"), "OI": ("aI", "oU"), "aU": ("eI", "i:"),
    "oU": ("eI", "aI"), "i@": ("aI", "O:"), "i@3": ("aI", "O:"), "e@": ("O:", "aI"), "A@": ("i:", "O:"),
    "O@": ("A@", "i:"), "o@": ("A@", "i:"), "U@": ("A@", "i@"), "aI@": ("i@", "O:"), "aI3": ("i@", "O:"),
}  # fmt: skip


def bare(mnemonic: str) -> str:
    """A mnemonic without its stress: ``'eI`` -> ``eI``."""
    return mnemonic.lstrip("',%=")


def sounds(phonemes: Phonemes) -> tuple[str, ...]:
    """What of a pronunciation can be heard: no stress, word bounds, glides or shades of a reduced vowel (I, I2)."""
    heard = (bare(mnemonic) for word in phonemes for mnemonic in word)
    return tuple(re.sub(r"(?<=.)[2-9#]$", "", mnemonic) for mnemonic in heard if mnemonic not in (";", ":", "_", "|"))


class PhraseEar:
    """Hears whether something said holds the phrase, in any of the accents."""

    def __init__(self, espeak: Espeak, phrase: str, accents: Sequence[str]) -> None:
        self._espeak, self._accents = espeak, accents
        self._phrase = {accent: sounds(espeak.phonemes(phrase, accent)) for accent in accents}
        said = [Utterance(phrase), Utterance.of_phonemes(espeak.phonemes(phrase, REFERENCE_ACCENT))]
        self._samples = {accent: {self._said(utterance, accent) for utterance in said} for accent in accents}

    def holding(self, texts: Sequence[str]) -> set[str]:
        """Those texts that some accent says with the whole phrase in them, one word or several."""
        return {
            text
            for accent in self._accents
            for text, said in zip(texts, self._espeak.pronunciations(texts, accent), strict=True)
            if _holds(said, self._phrase[accent])
        }

    def holds(self, phonemes: Phonemes) -> bool:
        """Whether some accent would say the phrase so, or makes of these phonemes the phrase's very samples."""
        if any(_holds(phonemes, phrase) for phrase in self._phrase.values()):
            return True
        # An accent may lack a phoneme and say its nearest: en-029 has "d" for "D".
        utterance = Utterance.of_phonemes(phonemes)
        return any(self._said(utterance, accent) in self._samples[accent] for accent in self._accents)

    def _said(self, utterance: Utterance, accent: str) -> bytes:
        if utterance.phonemes is None:
            return self._espeak.speak(utterance.text, accent)[0].tobytes()
        return self._espeak.speak_phonemes(utterance.phonemes, accent)[0].tobytes()


def near_misses(espeak: Espeak, phrase: str, ear: PhraseEar) -> list[Utterance]:
    """Near misses of a phrase, each once, none of which holds it.

    Texts: the phrase without a word, with two words swapped, with a word of english.txt that sounds like one of
    its own ("they sirius"). Phonemes: one syllable dropped, or one phoneme exchanged for a near one.
    """
    texts = list(dict.fromkeys([*_word_edits(phrase.split()), *_real_words(espeak, phrase.split())]))
    held = ear.holding(texts)
    edits = dict.fromkeys(_phoneme_edits(espeak.phonemes(phrase, REFERENCE_ACCENT)))
    return [Utterance(text) for text in texts if text not in held] + [
        Utterance.of_phonemes(edit) for edit in edits if not ear.holds(edit)
    ]


def distance(left: Sequence[str], right: Sequence[str]) -> int:
    """Fewest insertions, deletions and exchanges from one to the other (Levenshtein 1966)."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        corner, row[0] = row[0], i
        for j, b in enumerate(right, start=1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (a != b))
    return row[-1]


def syllables(word: Sequence[str]) -> list[tuple[str, ...]]:
    """A word's phonemes by syllable; one consonant goes with the vowel after it, further ones with that before."""
    vowels = [at for at, mnemonic in enumerate(word) if bare(mnemonic)[:1] in tuple(VOWEL_SIGNS)]
    starts = [0] + [max(at - 1, before + 1) for before, at in pairwise(vowels)]
    return [tuple(word[start:end]) for start, end in zip(starts, [*starts[1:], len(word)], strict=True)]


def _word_edits(words: Sequence[str]) -> Iterator[str]:
    for at in range(len(words) if len(words) > 1 else 0):
        yield " ".join([*words[:at], *words[at + 1 :]])
    for at in range(len(words) - 1):
        yield " ".join([*words[:at], words[at + 1], words[at], *words[at + 2 :]])


def _real_words(espeak: Espeak, words: Sequence[str]) -> Iterator[str]:
    vocabulary = english_words()
    heard = [sounds(said) for said in espeak.pronunciations(vocabulary, REFERENCE_ACCENT)]
    for at, said in enumerate(espeak.pronunciations(words, REFERENCE_ACCENT)):
        apart = [(distance(sounds(said), other), word) for other, word in zip(heard, vocabulary, strict=True)]
        # A third of a word's sounds may differ: more is another word, not a near one.
        near = sorted((steps, word) for steps, word in apart if 0 < steps <= max(1, len(sounds(said)) // 3))
        for _, word in near[:N_REAL_WORDS]:
            yield " ".join([*words[:at], word, *words[at + 1 :]])


def _phoneme_edits(phonemes: Phonemes) -> Iterator[Phonemes]:
    for at, word in enumerate(phonemes):
        for changed in (*_without_a_syllable(word), *_with_a_near_phoneme(word)):
            yield (*phonemes[:at], changed, *phonemes[at + 1 :])


def _without_a_syllable(word: Sequence[str]) -> Iterator[tuple[str, ...]]:
    parts = syllables(word)
    for dropped in range(len(parts) if len(parts) > 1 else 0):
        yield tuple(chain.from_iterable(part for at, part in enumerate(parts) if at != dropped))


def _with_a_near_phoneme(word: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for at, mnemonic in enumerate(word):
        stress = mnemonic[: len(mnemonic) - len(bare(mnemonic))]
        for near in NEAR_PHONEMES.get(bare(mnemonic), ()):
            yield (*word[:at], stress + near, *word[at + 1 :])


def _holds(said: Phonemes, phrase: tuple[str, ...]) -> bool:
    """Whether a word of ``said`` begins the phrase: "computers" holds "computer", "they sirius" no "'ey sirius"."""
    return any(sounds(said[at:])[: len(phrase)] == phrase for at in range(len(said)))
