"""What workers themselves note of what they trained, whatever their driver hears of it, for chaos.py."""

import os
import time
from pathlib import Path
from typing import Any

from trainables.distill import DistillTrainable

EPOCH_SECONDS = 0.5
FILE = "ledger"  # beside the corpus
Line = tuple[str, int, int, int]
"""What (start, epoch or saved), of which trial, at which epoch, by which process."""


class Noted(DistillTrainable):
    """A trial as any, slower, which notes every start, epoch and checkpoint in a ledger of its own.

    It starts with its first epoch: Tune may give a trial a worker that has become idle, and stop the one that it had
    asked for, which is set up nevertheless and trains nothing.
    """

    def setup(self, config: dict[str, Any]) -> None:
        self.number, self.ledger = config["number"], Path(config["corpus"]).with_name(FILE)
        super().setup(config)

    def step(self) -> dict[str, Any]:
        if self.of_the_start:
            self.note("start", self.run.epoch)
        time.sleep(EPOCH_SECONDS)
        result = super().step()
        self.note("epoch", result["epoch"])
        return result

    def save(self, checkpoint_dir: str | None = None) -> Any:
        made = super().save(checkpoint_dir)
        self.note("saved", self.run.epoch)
        return made

    def note(self, what: str, epoch: int) -> None:
        with self.ledger.open("a") as lines:
            lines.write(f"{what} {self.number} {epoch} {os.getpid()}\n")


def read_ledger(root: Path) -> list[Line]:
    """What was noted of which trial at which epoch, and by which process."""
    file = root / FILE
    words = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
    return [(what, int(number), int(epoch), int(pid)) for what, number, epoch, pid in words]


def passed_over(ledger: list[Line]) -> int:
    """Starts from an epoch before the last checkpoint; the very last counts only if its worker lived to tell of it."""
    saved: dict[int, set[int]] = {}
    count = 0
    for what, number, epoch, _ in ledger:
        known = saved.setdefault(number, {0})
        if what == "saved":
            known.add(epoch)
        count += what == "start" and epoch < sorted(known)[-2:][0]
    return count
