"""Sounds that tests make recordings and clips of."""

import numpy as np

RATE = 16_000


def tone(hertz: float, seconds: float, seed: int = 0) -> np.ndarray:
    """In noise 20 dB below."""
    noise = np.random.default_rng(seed).normal(scale=0.02, size=int(seconds * RATE))
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(len(noise)) / RATE) + noise).astype(np.float32)
