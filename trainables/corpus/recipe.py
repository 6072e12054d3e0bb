"""What a corpus is made of, and so what names it."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trainables.audio.check import LoadedClips
from trainables.audio.entries import SPLITS, Split
from trainables.audio.views import ViewMaker
from trainables.teachers.base import Encoder

VERSION = 1  # raise it when the same clips would give other arrays


@dataclass(frozen=True)
class Recipe:
    """What a corpus is made of, and so what its fingerprint covers."""

    clips: LoadedClips
    views: ViewMaker
    encoders: Mapping[str, Encoder]

    @property
    def fingerprint(self) -> str:
        """16 hex digits over teachers, front-end, views, and each clip's content, label and split."""
        digest = hashlib.sha256(f"{VERSION} {self.views.fingerprint}".encode())
        for name, encoder in sorted(self.encoders.items()):
            digest.update(f"{name} {encoder.fingerprint}".encode())
        for line in _clip_lines(self.clips):
            digest.update(line)
        return digest.hexdigest()[:16]

    @property
    def clips_fingerprint(self) -> str:
        """SHA-256, in hex, of the clips alone: each one's content, label and split."""
        return clips_fingerprint(self.clips)

    @property
    def n_clips(self) -> dict[Split, int]:
        return {split: len(self.clips.of(split)) for split in SPLITS}

    def n_views(self, split: Split) -> int:
        """Only training clips are augmented; the others are judged as they are."""
        return self.views.views.count if split == "train" else 1


def clips_fingerprint(clips: LoadedClips) -> str:
    """See `Recipe.clips_fingerprint`."""
    digest = hashlib.sha256(str(VERSION).encode())
    for line in _clip_lines(clips):
        digest.update(line)
    return digest.hexdigest()


def _clip_lines(clips: LoadedClips) -> Iterator[bytes]:
    for split in SPLITS:
        for clip in clips.of(split):
            yield f"{split} {clip.content_hash} {clip.clip.label} {clip.clip.hard}".encode()
