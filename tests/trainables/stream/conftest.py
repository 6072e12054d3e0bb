"""The folder of recordings beside the checkout."""

from tests.trainables.audio.conftest import enable

__all__ = ["enable"]
