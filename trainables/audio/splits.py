"""The splits that a data set does not bring: by speaker where known, else by content, stable as it grows.

The rule. Clips that must stay together form a unit: all clips of a speaker, or, where no speaker is known,
all clips with the same audio. A hash of the unit and ``data.split_seed`` gives it a place in [0, 1). Units
in [0, 0.1) are test, in [0.1, 0.2) val, the rest train. A split that so gets no clip of a class takes the
unit of that class with the lowest place among those left to train.

Why. A place depends on the unit alone, so added clips move nothing, where shares of a sorted list would
shift all along it. The price is that shares are met on average only. Taking the lowest unit is what a
slightly higher bound would have done: while a split is still that short of a class, an addition moves one
unit a class in it at most.

A missing val or test is carved out of train by the same rule; a missing train is refused.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spaces.errors import Fault
from trainables.audio.entries import CLASS_OF_LABEL, SPLITS, Entry, Split, counted

# Which places belong to the splits that can be made; in this order they take what they lack.
BOUNDS: dict[Split, tuple[float, float]] = {"test": (0.0, 0.1), "val": (0.1, 0.2)}


@dataclass
class Assignment:
    """The split of every entry, in the entries' order, which splits were made, and what stood in the way."""

    splits: list[Split]
    made: tuple[Split, ...] = ()
    faults: list[Fault] = field(default_factory=list)


def place(unit: str, seed: int) -> float:
    """A number in [0, 1) that depends on ``unit`` and ``seed`` alone, uniform over units."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{unit}".encode()).digest()[:8]) / 2**64


def missing_splits(entries: Iterable[Entry]) -> tuple[Split, ...]:
    """The splits of which the data set brings no clip."""
    present = {entry.split or "train" for entry in entries}
    return tuple(split for split in SPLITS if split not in present)


def assign(entries: Sequence[Entry], contents: Mapping[Path, str], *, seed: int, source: Path) -> Assignment:
    """A split for every entry: the one it brings, else one made by the rule above.

    Args:
        entries: those that can be read.
        contents: hash of the audio of every entry without a speaker; not read where no split is missing.
        source: the data set, named in faults.
    """
    missing = missing_splits(entries)
    kept = [entry.split or "train" for entry in entries]
    if "train" in missing:
        remedy = "brings no train split; add one, or remove the splits it has to have all three made"
        return Assignment(kept, (), [Fault(str(source), "", None, remedy)])
    if not missing:
        return Assignment(kept)
    labels_of: dict[str, set[int]] = defaultdict(set)
    for entry, split in zip(entries, kept, strict=True):
        if split == "train":
            labels_of[_unit(entry, contents)].add(entry.label)
    faults = _too_few(labels_of, missing, source)
    if faults:
        return Assignment(kept, missing, faults)
    made = make_splits(labels_of, missing, seed)
    splits = [
        made[_unit(entry, contents)] if split == "train" else split for entry, split in zip(entries, kept, strict=True)
    ]
    return Assignment(splits, missing, _bare_train(labels_of, made, source))


def make_splits(labels_of: Mapping[str, set[int]], missing: Iterable[Split], seed: int) -> dict[str, Split]:
    """A split for every unit: ``missing`` ones as the rule says, train for the rest.

    Args:
        labels_of: the labels of each unit's clips.
    """
    wanted = sorted(set().union(*labels_of.values()))
    rest = {unit: place(unit, seed) for unit in sorted(labels_of, key=lambda unit: place(unit, seed))}
    splits: dict[str, Split] = {}
    # All shares first, so that a split in want never takes what is another's by its place.
    for split, (low, high) in BOUNDS.items():
        if split in missing:
            splits |= {unit: split for unit, at in rest.items() if low <= at < high}
    rest = {unit: at for unit, at in rest.items() if unit not in splits}
    for split in BOUNDS:
        for label in wanted if split in missing else ():
            if not any(label in labels_of[unit] for unit, its in splits.items() if its == split):
                unit = next((unit for unit in rest if label in labels_of[unit]), None)
                if unit is not None:
                    splits[unit] = split
                    del rest[unit]
    return splits | dict.fromkeys(rest, "train")


def _unit(entry: Entry, contents: Mapping[Path, str]) -> str:
    return f"content {contents[entry.path]}" if entry.speaker is None else f"speaker {entry.speaker}"


def _too_few(labels_of: Mapping[str, set[int]], missing: Sequence[Split], source: Path) -> list[Fault]:
    """A fault for each class with fewer units than the splits that must be made of it, train included."""
    faults = []
    for label, name in CLASS_OF_LABEL.items():
        units = [unit for unit, labels in labels_of.items() if label in labels]
        if units and len(units) <= len(missing):
            kind = "speaker" if all(unit.startswith("speaker") for unit in units) else "different clip"
            remedy = (
                f"{name} clips come from {counted(len(units), kind)}, too few for train and a "
                f"{' and a '.join(missing)} split of their own; add more, or bring the splits with the data"
            )
            faults.append(Fault(str(source), "", None, remedy))
    return faults


def _bare_train(labels_of: Mapping[str, set[int]], made: Mapping[str, Split], source: Path) -> list[Fault]:
    """A fault for each class of which making splits left train without a clip."""
    wanted = set().union(*labels_of.values())
    left = set().union(*(labels_of[unit] for unit, split in made.items() if split == "train"))
    return [
        Fault(str(source), "data.split_seed", None, f"leaves train no {CLASS_OF_LABEL[label]} clip; set another seed")
        for label in sorted(wanted - left)
    ]
