"""What a data set lists before anything is decoded: entries, what was passed over, and what is wrong."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from spaces.errors import Fault

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
SPLIT_NAMES: dict[str, Split] = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
# A class as folders and manifests name it -> (label, hard).
CLASSES = {"positive": (1, False), "negative": (0, False), "hard_negative": (0, True)}
CLASS_OF_LABEL = {1: "positive", 0: "negative"}
N_NAMED = 10


@dataclass(frozen=True)
class Entry:
    """A clip as the data set lists it; ``split`` and ``speaker`` are None where it says nothing."""

    path: Path
    label: int
    hard: bool = False
    split: Split | None = None
    speaker: str | None = None


@dataclass
class Listing:
    """A data set's entries, the number of files passed over by kind, and the faults met on the way.

    Faults are gathered rather than raised, so that a check reports all of them at once.
    """

    layout: str
    entries: list[Entry] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)

    def fault(self, file: Path, remedy: str, key: str = "", value: object = None) -> None:
        self.faults.append(Fault(str(file), key, value, remedy))


def named(items: Iterable[object]) -> str:
    """Up to ten of the items, and how many more there are."""
    texts = [str(item) for item in items]
    more = f" and {len(texts) - N_NAMED} more" if len(texts) > N_NAMED else ""
    return ", ".join(texts[:N_NAMED]) + more


def counted(n: int, noun: str) -> str:
    """``1 clip``, ``2 clips``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
