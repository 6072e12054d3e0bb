"""Data sets that are folders: by class, by split and class, or by word (Speech Commands)."""

import re
from collections import Counter
from pathlib import Path

from trainables.audio.entries import CLASSES, SPLIT_NAMES, Entry, Listing, Split, named
from trainables.audio.frontend import AUDIO_SUFFIXES

UNSUPPORTED_SUFFIXES = (".m4a", ".aac", ".wma", ".opus", ".aif", ".aiff", ".amr")


def audio_files(folder: Path, skipped: Counter[str] | None = None) -> list[Path]:
    """Every WAV, FLAC, OGG and MP3 file under ``folder``, sorted, hidden ones left out.

    Files of other audio formats are counted in ``skipped``, by suffix.
    """
    found = []
    for path in sorted(folder.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        suffix = path.suffix.lower()
        if suffix in AUDIO_SUFFIXES and path.is_file():
            found.append(path)
        elif suffix in UNSUPPORTED_SUFFIXES and skipped is not None:
            skipped[f"*{suffix}"] += 1
    return found


def subfolders(root: Path) -> dict[str, Path]:
    """The folders right under ``root`` by name, hidden ones left out; none where there is no such folder."""
    if not root.is_dir():
        return {}
    return {path.name: path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")}


def has_classes(root: Path) -> bool:
    return not CLASSES.keys().isdisjoint(subfolders(root))


def speaker_of(path: Path) -> str | None:
    """The speaker in a Speech Commands file name, ``<speaker>_nohash_<take>.wav``, else None."""
    found = re.fullmatch(r"(.+)_nohash_\d+", path.stem)
    return found[1] if found else None


def class_folders(root: Path) -> Listing:
    """``positive/``, ``negative/`` and optionally ``hard_negative/`` under ``root``."""
    listing = Listing("class folders")
    _add_classes(listing, root, None)
    return listing


def split_folders(root: Path) -> Listing:
    """Class folders under ``train/``, ``val/`` and ``test/``; a split's folder that exists must hold clips."""
    listing = Listing("split folders")
    for name, folder in subfolders(root).items():
        if name not in SPLIT_NAMES:
            listing.skipped[f"{name}/"] += len(audio_files(folder))
        elif not _add_classes(listing, folder, SPLIT_NAMES[name]):
            listing.fault(folder, "holds no clips in positive/, negative/ or hard_negative/; fill it or remove it")
    return listing


def speech_commands(root: Path, keyword: str) -> Listing:
    """Word folders: ``keyword`` is positive, every other word negative, folders in ``_`` are left out.

    ``validation_list.txt`` and ``testing_list.txt``, where either exists, put the files that they list in
    validation and test and all others in train. (Warden 2018, https://arxiv.org/abs/1804.03209)
    """
    listing = Listing("Speech Commands")
    words = {name: folder for name, folder in subfolders(root).items() if not name.startswith("_")}
    if keyword not in words:
        choice = f"choose one of: {named(words)}" if words else "it has no word folders at all"
        listing.fault(root, f"has no such word folder; {choice}", "data.keyword", keyword)
        return listing
    lists: dict[Split, Path] = {"val": root / "validation_list.txt", "test": root / "testing_list.txt"}
    listed: dict[Split, set[str]] = {
        split: set(path.read_text("utf-8").splitlines()) for split, path in lists.items() if path.is_file()
    }
    for word, folder in words.items():
        for path in audio_files(folder, listing.skipped):
            name = path.relative_to(root).as_posix()
            split = _listed_split(name, listed) if listed else None
            listing.entries.append(Entry(path, int(word == keyword), split=split, speaker=speaker_of(path)))
    for name, folder in subfolders(root).items():
        if name.startswith("_"):
            listing.skipped[f"{name}/"] += len(audio_files(folder))
    return listing


def _listed_split(name: str, listed: dict[Split, set[str]]) -> Split:
    return next((split for split, names in listed.items() if name in names), "train")


def _add_classes(listing: Listing, root: Path, split: Split | None) -> int:
    """Add the class folders under ``root``, count its other folders as skipped; the number of clips added."""
    before = len(listing.entries)
    for name, folder in subfolders(root).items():
        if name not in CLASSES:
            listing.skipped[f"{name}/"] += len(audio_files(folder))
            continue
        label, hard = CLASSES[name]
        paths = audio_files(folder, listing.skipped)
        listing.entries += [Entry(path, label, hard, split, speaker_of(path)) for path in paths]
    return len(listing.entries) - before
