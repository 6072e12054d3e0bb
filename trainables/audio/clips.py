"""The clips of a data set, whatever its layout, each with a label and a split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spaces.errors import InputError
from spaces.sections import Data
from trainables.audio.entries import SPLIT_NAMES, Entry, Listing, Split
from trainables.audio.folders import class_folders, has_classes, speech_commands, split_folders, subfolders
from trainables.audio.frontend import UnreadableAudioError
from trainables.audio.manifests import csv_manifest, manifest_in, platform_manifests
from trainables.audio.scan import Sound, scan
from trainables.audio.splits import Assignment, assign, missing_splits

LAYOUTS = (
    "positive/ and negative/ folders, the same under train/ val/ test/, manifest.csv, "
    "train.json val.json test.json, or word folders with data.keyword"
)


@dataclass(frozen=True)
class Clip:
    """A file, its label (1: the wake word), its split, who speaks where that is known, whether a near miss."""

    path: Path
    label: int
    split: Split
    speaker: str | None = None
    hard: bool = False


def find_clips(data: Data) -> list[Clip]:
    """Every clip of the data set, with splits made where it brings none (see `splits`).

    Files are decoded only where a split hangs on their content: there, those that cannot be read are left out.

    Raises:
        InputError: all faults of the layout, or of making splits, at once.
    """
    listing = list_entries(data)
    if listing.faults:
        raise InputError(listing.faults)
    sounds: Mapping[Path, Sound | UnreadableAudioError] = {}
    if missing_splits(listing.entries):
        sounds = scan(entry.path for entry in listing.entries if entry.speaker is None)
    entries = [entry for entry in listing.entries if not isinstance(sounds.get(entry.path), UnreadableAudioError)]
    clips, assignment = with_splits(entries, sounds, data)
    if assignment.faults:
        raise InputError(assignment.faults)
    return clips


def list_entries(data: Data) -> Listing:
    """Recognise the layout at ``data.path`` and read it, decoding nothing; what is wrong is in its faults.

    In this order: a ``.csv`` file; with ``data.keyword``, a Speech Commands folder; a folder with
    ``manifest.csv``; with ``train.json``, ``val.json`` or ``test.json``; with class folders; with class
    folders under split folders.
    """
    root = data.here
    listing = _file(data) if root.is_file() else _folder(data)
    if not listing.entries and not listing.faults:
        listing.fault(root, f"holds no clips; expected {LAYOUTS}", "data.path")
    return listing


def with_splits(
    entries: Sequence[Entry], sounds: Mapping[Path, Sound | UnreadableAudioError], data: Data
) -> tuple[list[Clip], Assignment]:
    """Readable entries as clips, and how their splits came about.

    Args:
        sounds: of every entry whose split hangs on its content.
    """
    contents = {path: sound.content_hash for path, sound in sounds.items() if isinstance(sound, Sound)}
    assignment = assign(entries, contents, seed=data.split_seed, source=data.here)
    clips = [
        Clip(entry.path, entry.label, split, entry.speaker, entry.hard)
        for entry, split in zip(entries, assignment.splits, strict=True)
    ]
    return clips, assignment


def _file(data: Data) -> Listing:
    listing = Listing("none")
    if data.here.suffix.lower() != ".csv":
        listing.fault(data.here, "is neither a folder nor a .csv manifest", "data.path")
    elif data.keyword is not None:
        listing.fault(data.here, "belongs to Speech Commands folders; remove it", "data.keyword", data.keyword)
    else:
        return csv_manifest(data.here, data.allow_outside)
    return listing


def _folder(data: Data) -> Listing:
    root, keyword = data.here, data.keyword
    if keyword is not None and root.is_dir():
        return speech_commands(root, keyword)
    if manifest := manifest_in(root):
        is_csv = manifest.suffix == ".csv"
        return csv_manifest(manifest, data.allow_outside) if is_csv else platform_manifests(root, data.allow_outside)
    if has_classes(root):
        return class_folders(root)
    if any(has_classes(root / name) for name in SPLIT_NAMES):
        return split_folders(root)
    listing = Listing("none")
    if not root.is_dir():
        listing.fault(root, "no such file or folder", "data.path")
    elif "_background_noise_" in subfolders(root) or (root / "validation_list.txt").is_file():
        listing.fault(root, "looks like Speech Commands; name the word that is the wake word", "data.keyword")
    return listing
