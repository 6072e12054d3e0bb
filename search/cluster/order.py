"""A command of distune that is asked for here and run on the head: what travels there, as files of a job's folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

FILE = "order.json"
SWEEP = "sweep.yaml"
ON_HEAD = "DISTUNE_ON_HEAD"  # set while an order is run: its command asks no other machine
GIVEN, RETURNED = "given", "returned"  # in the command's folder: files it is given, and those sent back


@dataclass(frozen=True)
class Order:
    """A command for the head.

    Args:
        words: without ``distune``; files that it reads are ``given/NUMBER.yaml``, those it writes are below
            ``returned/NUMBER/``.
        ray: the cluster's version.
        sweep: the name of the sweep whose files came along, for a command that is given its file.
        returned: how many outputs there are.
    """

    words: Sequence[str]
    ray: str
    sweep: str | None = None
    returned: int = 0
    files: Mapping[str, str] = field(default_factory=dict)

    def as_files(self) -> dict[str, str]:
        """Name to content of what the job's folder holds."""
        facts = asdict(self)
        return {**facts.pop("files"), FILE: json.dumps(facts)}

    @classmethod
    def read(cls, folder: Path) -> Self:
        return cls(**json.loads((folder / FILE).read_text(encoding="utf-8")))
