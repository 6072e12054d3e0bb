"""What is noted of a trial while it is at work, now and then rather than at every report: a write costs 0.6 ms."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from search.record.at_work import WHERE
from search.record.trials import TrialRecord
from search.run.meter import SECONDS_BETWEEN_NOTES, Meter

ALIGNMENT_LOSS = "train_alignment_loss"

Key = tuple[str, int]


class Progress:
    """Notes seconds, share of a GPU, place, and first and last alignment loss of trials at work.

    Args:
        clock: seconds, never running back.
    """

    def __init__(self, record: TrialRecord, meter: Meter, clock: Callable[[], float] = time.monotonic) -> None:
        self.record, self.meter, self._clock = record, meter, clock
        self._noted: dict[Key, float] = {}
        self._alignment: dict[Key, tuple[float, float]] = {}
        # A driver that was killed left its trials where they were.
        for left in record.left_over():
            self._place((left.student, left.number), None)

    @property
    def at_work(self) -> list[Key]:
        return list(self._noted)

    def started(self, key: Key, gpu: float) -> None:
        """A trial is at work, on a share ``gpu``."""
        self.meter.started(key, gpu)
        self._noted[key] = self._clock()
        if self.record.noted(*key, "gpu") != gpu:
            self.record.note(*key, "gpu", gpu)
        if alignment := self.record.noted(*key, "alignment"):
            self._alignment[key] = alignment[0], alignment[1]

    def placed(self, key: Key, where: Mapping[str, Any]) -> None:
        """A trial says where it runs."""
        self._place(key, dict(where))

    def reported(self, key: Key, metrics: Mapping[str, float]) -> None:
        """A trial finished an epoch."""
        if ALIGNMENT_LOSS in metrics:
            loss = metrics[ALIGNMENT_LOSS]
            self._alignment[key] = self._alignment.get(key, (loss, loss))[0], loss
        if self._clock() - self._noted[key] >= SECONDS_BETWEEN_NOTES:
            self._note(key)

    def ended(self, key: Key) -> None:
        """A trial is at work no longer, whether or not it goes on later; to be told before the record is."""
        self._note(key)
        self._place(key, None)
        self.meter.stopped(key)
        del self._noted[key]
        self._alignment.pop(key, None)

    def _note(self, key: Key) -> None:
        self._noted[key] = self._clock()
        self.record.note(*key, "seconds", round(self.meter.seconds(key), 3))
        if key in self._alignment:
            self.record.note(*key, "alignment", list(self._alignment[key]))

    def _place(self, key: Key, where: dict[str, Any] | None) -> None:
        if self.record.noted(*key, WHERE) != where:
            self.record.note(*key, WHERE, where)
