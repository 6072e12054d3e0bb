"""The front-end that ships hears what students were trained on."""

import numpy as np
import pytest
import torch

from search.package.frontend import AudioFrontEnd
from trainables.audio.frontend import CLIP_SAMPLES, LogMel, levelled


def clips() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    seconds = np.arange(CLIP_SAMPLES) / 16_000
    noise = 0.1 * rng.normal(size=CLIP_SAMPLES)
    sweep = 0.01 * np.sin(2 * np.pi * (100 + 2000 * seconds) * seconds)
    padded = np.where((seconds > 0.5) & (seconds < 1.0), noise, 0.0)
    impulse = np.zeros(CLIP_SAMPLES)
    impulse[-1] = 1.0
    return {"noise": noise, "quiet tone": sweep, "zeros around it": padded, "a click at the end": impulse,
            "silence": np.zeros(CLIP_SAMPLES), "nearly clipped": np.sign(noise)}  # fmt: skip


@pytest.mark.parametrize("name", clips())
def test_raw_audio_becomes_the_log_mel_that_torchaudio_gives_of_the_levelled_clip(name: str) -> None:
    audio = clips()[name].astype(np.float32)
    expected = LogMel()(torch.from_numpy(levelled(audio)[None]))
    torch.testing.assert_close(AudioFrontEnd()(torch.from_numpy(audio[None])), expected, atol=2e-3, rtol=0)


def test_a_clip_sounds_the_same_at_any_level_and_beside_any_other() -> None:
    noise, loud = (torch.from_numpy(clips()[name].astype(np.float32)) for name in ("noise", "nearly clipped"))
    together = AudioFrontEnd()(torch.stack([noise, 0.01 * noise, loud]))
    torch.testing.assert_close(together[0], together[1], atol=2e-3, rtol=0)
    torch.testing.assert_close(together[:1], AudioFrontEnd()(noise[None]), atol=1e-5, rtol=0)
