"""What is said, and how a voice says it as 16 kHz speech."""

from dataclasses import dataclass

import numpy as np

from trainables.audio.espeak import Espeak, Phonemes
from trainables.audio.frontend import Samples, resampled

# Room for the overshoot of resampling: no clip reaches full scale.
PEAK = 0.7
# Under this, relative to the peak, the ends of an utterance are silence: -50 dB.
QUIET = 10 ** (-50 / 20)


@dataclass(frozen=True)
class Utterance:
    """Something to say: English text, or espeak's phoneme mnemonics with ``text`` as their name."""

    text: str
    phonemes: Phonemes | None = None

    @classmethod
    def of_phonemes(cls, phonemes: Phonemes) -> "Utterance":
        return cls(f"[[{' '.join(''.join(word) for word in phonemes)}]]", phonemes)


def speak_clip(
    espeak: Espeak, utterance: Utterance | str, voice: str, *, rate_wpm: int = 175, pitch: int = 50
) -> Samples:
    """One utterance without silence around it, the same for the same arguments.

    Args:
        voice, rate_wpm, pitch: as `Espeak.speak` takes them.

    Returns:
        (n,) at 16 kHz, peak 0.7; n is 0 where the voice says nothing.
    """
    if isinstance(utterance, str):
        utterance = Utterance(utterance)
    if utterance.phonemes is None:
        samples, rate = espeak.speak(utterance.text, voice, rate_wpm=rate_wpm, pitch=pitch)
    else:
        samples, rate = espeak.speak_phonemes(utterance.phonemes, voice, rate_wpm=rate_wpm, pitch=pitch)
    samples = resampled(samples, rate)
    peak = float(np.abs(samples).max(initial=0))
    if peak == 0:
        return samples[:0]
    loud = np.flatnonzero(np.abs(samples) > QUIET * peak)
    return samples[loud[0] : loud[-1] + 1] * np.float32(PEAK / peak)
