"""What a corpus is made of, and so what names it."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from spaces.sections import here
from trainables.audio.check import LoadedClips
from trainables.audio.entries import SPLITS, Split
from trainables.audio.views import ViewMaker
from trainables.storage.cache import Cache
from trainables.storage.fetching import Sources
from trainables.teachers.base import Encoder

VERSION = 1  # raise it when the same clips would give other arrays


@dataclass(frozen=True)
class Recipe:
    """What a corpus is made of, and so what its fingerprint covers.

    Attributes:
        sources: where folders with its clips and recordings were fetched from, which the fingerprint does not cover.
    """

    clips: LoadedClips
    views: ViewMaker
    encoders: Mapping[str, Encoder]
    sources: Sources = ()

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

    def on_this_node(self, cache: Cache) -> "Recipe":
        """The same recipe from this node's own copies of what was fetched.

        Raises:
            InputError: there is no room for them, or they are not the same.
            StorageError: they cannot be fetched.
        """
        folders = {there: source.here(cache) for there, source in self.sources}
        if all(there == own for there, own in folders.items()):
            return self

        def moved(path: Path) -> Path:
            return next((folders[root] / path.relative_to(root) for root in folders if path.is_relative_to(root)), path)

        clips = tuple(
            replace(loaded, clip=replace(loaded.clip, path=moved(loaded.clip.path))) for loaded in self.clips.clips
        )
        settings = self.views.views
        recordings = {key: tuple(moved(here(path)) for path in getattr(settings, key)) for key in ("noise", "rir")}
        views = ViewMaker(settings.model_copy(update=recordings))
        return Recipe(replace(self.clips, clips=clips), views, self.encoders, self.sources)


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
