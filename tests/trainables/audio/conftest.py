"""Small recordings, each with audio of its own, and the recorded wake-word task beside the checkout."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Path]:
    """Writes noise that its name decides, 0.1 s at 8 kHz, under ``tmp_path``; ``like`` names another's audio."""

    def write(name: str, *, like: str | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        seed = int.from_bytes(hashlib.sha256((like or name).encode()).digest()[:8])
        # Whole numbers, because formats round fractions differently.
        samples = np.random.default_rng(seed).integers(-16_000, 16_000, 800, dtype=np.int16)
        soundfile.write(path, samples, 8_000, subtype="PCM_16")
        return path

    return write


@pytest.fixture(scope="session")
def enable() -> Path:
    """The folder of recordings of the wake word "enable"."""
    folder = Path(__file__).resolve().parents[4] / "shared" / "data" / "enable"
    if not folder.is_dir():
        pytest.skip(f"the recordings of {folder} are not on this machine")
    return folder
