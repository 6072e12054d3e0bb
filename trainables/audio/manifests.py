"""Data sets that are lists of files: a CSV manifest, or the platform's JSON manifests.

A manifest may come from anyone, so it lists files below its own folder unless ``allow_outside`` says otherwise.
"""

import csv
import os
from pathlib import Path, PureWindowsPath
from typing import Any

from spaces.documents import read_json
from trainables.audio.entries import CLASSES, SPLIT_NAMES, SPLITS, Entry, Listing, Split, counted, named

LABELS = {**CLASSES, "1": CLASSES["positive"], "0": CLASSES["negative"]}
UNKNOWN_SPEAKERS = {"", "none", "unknown"}
FLAGS = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
REMEDIES = {
    "path": "name a file",
    "split": "write train, val or test",
    "hard": "write 0 or 1, and 1 for negatives only",
}
NAMES = ("manifest.csv", *(f"{split}.json" for split in SPLITS))
JSON_FORM = '{"files": [{"path": ..., "category": "positive", "negative" or "hard_negative"}, ...]}'


def manifest_in(folder: Path) -> Path | None:
    """What says which clips of a folder are read, of the platform's the first; ``None``: its folders do."""
    return next((path for name in NAMES if (path := folder / name).is_file()), None)


def csv_manifest(path: Path, allow_outside: bool = False) -> Listing:
    """``path,label[,split,speaker,hard]``, one clip a row; other columns are ignored.

    Paths count from the manifest's folder. Labels are positive, negative, hard_negative, 1 or 0; rows of any other
    label (noise, room responses, ...) are skipped and counted. All rows have a split, or none has.
    """
    listing = Listing("CSV manifest")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", skipinitialspace=True)
            columns = {name.strip().lower(): name for name in reader.fieldnames or ()}
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        listing.fault(path, f"is not a CSV file in UTF-8 ({error})")
        return listing
    missing = [name for name in ("path", "label") if name not in columns]
    if missing:
        listing.fault(path, f"has no column {' and no column '.join(missing)}; its first line names the columns")
        return listing
    lines_at_fault: dict[tuple[str, str], list[int]] = {}
    for line, cells in rows:
        row = {name: cells[column].strip() for name, column in columns.items()}
        if row["label"].lower() not in LABELS:
            listing.skipped[row["label"] or "no label"] += 1
            continue
        wrong = _row_faults(row)
        for column in wrong:
            lines_at_fault.setdefault((column, row[column]), []).append(line)
        if not wrong:
            listing.entries.append(_row_entry(path.parent, row))
    for (column, value), lines in lines_at_fault.items():
        listing.fault(path, f"{REMEDIES[column]} (line {named(lines)})", column, value)
    n_unsplit = sum(entry.split is None for entry in listing.entries)
    if 0 < n_unsplit < len(listing.entries):
        listing.fault(path, f"is empty in {counted(n_unsplit, 'row')}; give every row a split, or none", "split")
    return _existing(_within(listing, path, allow_outside), path)


def platform_manifests(folder: Path, allow_outside: bool = False) -> Listing:
    """The platform's ``train.json``, ``val.json``, ``test.json``.

    The platform writes paths as seen from where it ran, some folder above its manifests. So a relative path
    counts from the manifest's folder or else, with ``allow_outside``, the nearest one above it where the manifest's
    first file exists.
    """
    listing = Listing("platform manifests")
    for split in SPLITS:
        path = folder / f"{split}.json"
        if path.is_file():
            part = _platform_manifest(path, split, allow_outside)
            listing.entries += part.entries
            listing.skipped += part.skipped
            listing.faults += part.faults
    return listing


def _row_faults(row: dict[str, str]) -> list[str]:
    """The columns of a row that cannot be used."""
    split, hard = row.get("split", "").lower(), row.get("hard", "").lower()
    positive = LABELS[row["label"].lower()][0] == 1
    usable = {
        "path": row["path"] != "",
        "split": split == "" or split in SPLIT_NAMES,
        "hard": hard in FLAGS and not (FLAGS[hard] and positive),
    }
    return [column for column, is_usable in usable.items() if not is_usable]


def _row_entry(folder: Path, row: dict[str, str]) -> Entry:
    label, hard = LABELS[row["label"].lower()]
    speaker = row.get("speaker", "")
    return Entry(
        folder / os.path.normpath(row["path"]),
        label,
        hard or FLAGS[row.get("hard", "").lower()],
        SPLIT_NAMES.get(row.get("split", "").lower()),
        None if speaker.lower() in UNKNOWN_SPEAKERS else speaker,
    )


def _platform_manifest(path: Path, split: Split, allow_outside: bool) -> Listing:
    listing = Listing("platform manifest")
    try:
        files = read_json(path)["files"]
        names = [_posix(file["path"]) for file in files]
    except (OSError, ValueError, KeyError, TypeError) as error:
        listing.fault(path, f"is not one of the platform's manifests, {JSON_FORM} ({type(error).__name__}: {error})")
        return listing
    if not files:
        listing.fault(path, "lists no files; fill it or remove it")
        return listing
    above = [path.parent.absolute(), *path.parent.absolute().parents]
    base = next((folder for folder in above if (folder / names[0]).is_file()), path.parent)
    for name, file in zip(names, files, strict=True):
        _add_file(listing, base / os.path.normpath(name), file, split)
    return _existing(_within(listing, path, allow_outside), path)


def _add_file(listing: Listing, path: Path, file: dict[str, Any], split: Split) -> None:
    name = str(file.get("category", file.get("label", "no label"))).lower()
    if name in LABELS:
        label, hard = LABELS[name]
        speaker = str(file.get("speaker") or "")
        listing.entries.append(Entry(path, label, hard, split, speaker or None))
    else:
        listing.skipped[name] += 1


def _posix(name: str) -> str:
    # The platform runs on Windows too, and writes its paths as they are there.
    return PureWindowsPath(name).as_posix() if "\\" in name else name


def _within(listing: Listing, manifest: Path, allow_outside: bool) -> Listing:
    """The listing without the files that lie outside the manifest's folder, and with one fault that names them.

    By their names, ``..`` taken off before: a link below the folder is its owner's, and may lead anywhere.
    """
    if allow_outside:
        return listing
    folder = manifest.parent.absolute()
    inside = os.path.join(os.path.normpath(folder), "")
    outside = {entry.path for entry in listing.entries if not os.path.normpath(folder / entry.path).startswith(inside)}
    if outside:
        remedy = (
            f"{counted(len(outside), 'listed file')} outside {folder}: {named(sorted(outside))}; keep clips below "
            "their manifest's folder or, where you trust it, set data.allow_outside=true (--allow-outside)"
        )
        listing.fault(manifest, remedy, "path")
        listing.entries = [entry for entry in listing.entries if entry.path not in outside]
    return listing


def _existing(listing: Listing, manifest: Path) -> Listing:
    """The listing without the files that do not exist, and with one fault that names them."""
    missing = {entry.path for entry in listing.entries if not entry.path.is_file()}
    if missing:
        remedy = f"{counted(len(missing), 'listed file')} missing: {named(sorted(missing))}; correct or remove the rows"
        listing.fault(manifest, remedy, "path")
        listing.entries = [entry for entry in listing.entries if entry.path not in missing]
    return listing
