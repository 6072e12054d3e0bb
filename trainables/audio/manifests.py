"""Data sets that are lists of files: a CSV manifest, or the platform's JSON manifests."""

import csv
import json
from pathlib import Path, PureWindowsPath
from typing import Any

from trainables.audio.entries import CLASSES, SPLIT_NAMES, SPLITS, Entry, Listing, Split, counted, named

LABELS = {**CLASSES, "1": CLASSES["positive"], "0": CLASSES["negative"]}
UNKNOWN_SPEAKERS = {"", "none", "unknown"}
FLAGS = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
REMEDIES = {
    "path": "name a file",
    "split": "write train, val or test",
    "hard": "write 0 or 1, and 1 for negatives only",
}
JSON_FORM = '{"files": [{"path": ..., "category": "positive", "negative" or "hard_negative"}, ...]}'


def csv_manifest(path: Path) -> Listing:
    """``path,label[,split,speaker,hard]``, one clip a row; other columns are ignored.

    Paths count from the manifest's folder; one that leaves it (``../`` or absolute) says so openly and is
    allowed. Labels are positive, negative, hard_negative, 1 or 0; rows of any other label (noise, room
    responses, ...) are skipped and counted. All rows have a split, or none has.
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
    return _existing(listing, path)


def platform_manifests(folder: Path) -> Listing:
    """The platform's ``train.json``, ``val.json``, ``test.json``.

    The platform writes paths as seen from where it ran, some folder above its manifests. So a relative path
    counts from the manifest's folder or else the nearest one above it where the manifest's first file exists.
    """
    listing = Listing("platform manifests")
    for split in SPLITS:
        path = folder / f"{split}.json"
        if path.is_file():
            part = _platform_manifest(path, split)
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
        folder / row["path"],
        label,
        hard or FLAGS[row.get("hard", "").lower()],
        SPLIT_NAMES.get(row.get("split", "").lower()),
        None if speaker.lower() in UNKNOWN_SPEAKERS else speaker,
    )


def _platform_manifest(path: Path, split: Split) -> Listing:
    listing = Listing("platform manifest")
    try:
        files = json.loads(path.read_text("utf-8"))["files"]
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
        _add_file(listing, base / name, file, split)
    return _existing(listing, path)


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


def _existing(listing: Listing, manifest: Path) -> Listing:
    """The listing without the files that do not exist, and with one fault that names them."""
    missing = {entry.path for entry in listing.entries if not entry.path.is_file()}
    if missing:
        remedy = f"{counted(len(missing), 'listed file')} missing: {named(sorted(missing))}; correct or remove the rows"
        listing.fault(manifest, remedy, "path")
        listing.entries = [entry for entry in listing.entries if entry.path not in missing]
    return listing
