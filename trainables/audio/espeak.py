"""English speech and phonemes from the espeak-ng library inside the wheel ``espeakng-loader``."""

import _ctypes
import ctypes
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 22_050
RATE_WPM = (80, 450)  # beyond, espeak speeds up by cutting periods out of the waveform
PITCH = (0, 99)

# Names and values of espeak-ng's speak_lib.h, release 1.52.
AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_DONT_EXIT = 0x8000
CHARS_UTF8 = 0x001
PHONEME_INPUT = 0x100
POS_CHARACTER = 1
PARAMETER_RATE, PARAMETER_PITCH = 1, 3
PHONEME_SEPARATOR = "_"
SEED = 1  # of the noise in breath and fricatives

_SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

# espeak keeps its state in globals: one utterance at a time.
_lock = threading.Lock()

Phonemes = tuple[tuple[str, ...], ...]  # words of mnemonics


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


class Espeak:
    """Speaks English text and phonemes; the same arguments always give the same samples.

    Every utterance loads the library anew (1 ms): pitch flutter, noise and filter states live in
    static variables that no call resets, so a loaded library never says a thing twice alike.
    That holds as long as nothing else in the process keeps the same library file loaded.
    """

    def __init__(self) -> None:
        with _library() as library:
            accents = _identifiers(library, language=None)
            variants = _identifiers(library, language="variant")
        self._accents = sorted(identifier for identifier in accents if identifier.startswith("gmw/en"))
        self._variants = sorted(identifier.removeprefix("!v/") for identifier in variants)
        self._known = frozenset(self._accents) | frozenset(self.voices())

    def accents(self) -> list[str]:
        """English accents, e.g. ``gmw/en-GB-scotland``; each is a voice by itself too."""
        return list(self._accents)

    def variants(self) -> list[str]:
        """Variants that any accent can be spoken in, e.g. ``f3``: who is speaking."""
        return list(self._variants)

    def voices(self) -> list[str]:
        """Every accent in every variant, e.g. ``gmw/en+f3``, sorted by accent, then variant."""
        return [f"{accent}+{variant}" for accent in self._accents for variant in self._variants]

    def speak(
        self, text: str, voice: str = "gmw/en-US", *, rate_wpm: int = 175, pitch: int = 50
    ) -> tuple[NDArray[np.float32], int]:
        """Say a text.

        Args:
            voice: one of :meth:`voices` or :meth:`accents`.
            rate_wpm: 80 to 450 words a minute.
            pitch: 0 to 99, no unit; 50 is the voice's own.

        Returns:
            Mono samples (n,) in [-1, 1] and their rate, 22,050 Hz. A text with nothing to say
            gives a few samples of silence.

        Raises:
            ValueError: no such voice, or rate or pitch out of bounds.
        """
        return self._samples(text, voice, CHARS_UTF8, rate_wpm, pitch), SAMPLE_RATE

    def speak_phonemes(
        self, words: Phonemes, voice: str = "gmw/en-US", *, rate_wpm: int = 175, pitch: int = 50
    ) -> tuple[NDArray[np.float32], int]:
        """Say phoneme mnemonics as :meth:`phonemes` returns them; otherwise as :meth:`speak`."""
        # "|" ends a mnemonic, so that "t" and "S" are not read as "tS".
        mnemonics = " ".join("|".join(word) for word in words)
        return self._samples(f"[[{mnemonics}]]", voice, CHARS_UTF8 | PHONEME_INPUT, rate_wpm, pitch), SAMPLE_RATE

    def phonemes(self, text: str, voice: str = "gmw/en-US") -> Phonemes:
        """How a voice would say a text: espeak's mnemonics by spoken word.

        A stress mark begins its vowel's mnemonic: ``(("h", "'eI"), ("s", "'I", "r", ...))``.

        Raises:
            ValueError: no such voice.
        """
        return self.pronunciations([text], voice)[0]

    def pronunciations(self, texts: Sequence[str], voice: str = "gmw/en-US") -> list[Phonemes]:
        """:meth:`phonemes` of many texts, the library loaded once for all: twenty times as fast."""
        self._check_voice(voice)
        with _library() as library:
            library.espeak_SetVoiceByName(voice.encode())
            return [_phonemes(library, text) for text in texts]

    def _samples(self, text: str, voice: str, flags: int, rate_wpm: int, pitch: int) -> NDArray[np.float32]:
        self._check_voice(voice)
        for name, value, (low, high) in (("rate_wpm", rate_wpm, RATE_WPM), ("pitch", pitch, PITCH)):
            if not low <= value <= high:
                raise ValueError(f"{name}={value} is out of espeak's range; choose {low} to {high}")
        chunks: list[bytes] = []

        def keep(samples: int | None, n_samples: int, events: int | None) -> int:
            if samples and n_samples > 0:
                chunks.append(ctypes.string_at(samples, 2 * n_samples))
            return 0

        callback = _SynthCallback(keep)
        with _library() as library:
            library.espeak_SetSynthCallback(callback)
            library.espeak_SetVoiceByName(voice.encode())
            library.espeak_SetParameter(PARAMETER_RATE, rate_wpm, 0)
            library.espeak_SetParameter(PARAMETER_PITCH, pitch, 0)
            encoded = text.encode() + b"\0"
            status = library.espeak_Synth(encoded, len(encoded), 0, POS_CHARACTER, 0, flags, None, None)
        if status != 0:
            raise RuntimeError(f"espeak-ng failed with status {status} on {text!r} in voice {voice}")
        return np.frombuffer(b"".join(chunks), np.int16).astype(np.float32) / np.float32(32768)

    def _check_voice(self, voice: str) -> None:
        # espeak itself takes an unknown variant for none, in silence.
        if voice not in self._known:
            raise ValueError(f"voice {voice!r} is not one of espeak's; choose an accent, or an accent+variant, "
                             f"from {self._accents} and {self._variants}")  # fmt: skip


@contextmanager
def _library() -> Iterator[ctypes.CDLL]:
    """The library in its initial state, loaded for one utterance."""
    with _lock:
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        try:
            _declare(library)
            data = Path(espeakng_loader.get_data_path())
            rate = library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, str(data).encode(), INITIALIZE_DONT_EXIT)
            if rate != SAMPLE_RATE:
                raise RuntimeError(f"espeak-ng did not start with its data in {data}; reinstall espeakng-loader")
            library.espeak_ng_SetRandSeed(SEED)  # starting seeds by the clock
            library.srand(SEED)  # the C library's: eight variants take their breath from there
            yield library
            library.espeak_Terminate()
        finally:
            _ctypes.dlclose(library._handle)


def _declare(library: ctypes.CDLL) -> None:
    """Argument and result types, without which ctypes would pass 64-bit pointers as 32-bit integers."""
    int_, uint, size, text, address = (
        ctypes.c_int, ctypes.c_uint, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p,
    )  # fmt: skip
    library.espeak_Initialize.argtypes = [int_, int_, text, int_]
    library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
    library.srand.argtypes = [uint]
    library.srand.restype = None
    library.espeak_ListVoices.argtypes = [ctypes.POINTER(_Voice)]
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    library.espeak_SetVoiceByName.argtypes = [text]
    library.espeak_SetParameter.argtypes = [int_, int_, int_]
    library.espeak_SetSynthCallback.argtypes = [_SynthCallback]
    library.espeak_Synth.argtypes = [text, size, uint, int_, uint, uint, address, address]
    library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(text), int_, int_]
    library.espeak_TextToPhonemes.restype = text


def _phonemes(library: ctypes.CDLL, text: str) -> Phonemes:
    rest = ctypes.c_char_p(text.encode())
    words: list[tuple[str, ...]] = []
    while rest.value:  # one clause a call; NULL after the last
        clause: bytes = library.espeak_TextToPhonemes(ctypes.byref(rest), CHARS_UTF8, ord(PHONEME_SEPARATOR) << 8)
        words += [tuple(filter(None, word.split(PHONEME_SEPARATOR))) for word in clause.decode().split()]
    return tuple(word for word in words if word)


def _identifiers(library: ctypes.CDLL, language: str | None) -> list[str]:
    """Identifiers of the voices of a language; ``None`` for every voice but the variants."""
    spec = ctypes.byref(_Voice(languages=language.encode())) if language else None
    found = library.espeak_ListVoices(spec)
    identifiers: list[str] = []
    while found[len(identifiers)]:  # NULL ends the list
        identifiers.append(found[len(identifiers)].contents.identifier.decode())
    return identifiers
