"""Writing what belongs together at once: each write waits 0.6 ms and more for the disk, and a trial's draw is a score.

A driver of hundreds of trials does little else than wait for them (`benchmarks/cluster.py`).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend


class _Gathering(BaseJournalBackend):
    """A journal that holds back what is written to it in a block, and then writes it whole, in its order.

    To the storage that writes, it reads as if all had been written; other processes see it when it is.
    """

    def __init__(self, backend: BaseJournalBackend) -> None:
        self._backend = backend
        self._held: list[dict[str, Any]] | None = None
        self._n_written = 0  # logs, as far as they have been read: one driver alone writes

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        if self._held is None:
            self._backend.append_logs(logs)
        else:
            # As a reader would have them: a tuple, for one, comes back as a list.
            self._held += json.loads(json.dumps(logs))

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        written = list(self._backend.read_logs(log_number_from)) if log_number_from <= self._n_written else []
        self._n_written = max(self._n_written, log_number_from + len(written) if written else 0)
        yield from written
        yield from (self._held or [])[max(0, log_number_from - self._n_written) :]

    @contextmanager
    def gathered(self) -> Iterator[None]:
        if self._held is not None:
            yield
            return
        list(self.read_logs(self._n_written))
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            if held:
                self._backend.append_logs(held)
                # Read them, or the file's reader, asked for what follows them, begins at its first line.
                list(self.read_logs(self._n_written))


class Journal(JournalStorage):
    """Optuna's storage in a journal, of which a block's writes can be gathered."""

    def __init__(self, backend: BaseJournalBackend) -> None:
        self._gathering = _Gathering(backend)
        super().__init__(self._gathering)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write all that is written in the block at its end, in its order, also where the block fails.

        A driver that is killed has written all of it, or a beginning.
        """
        with self._gathering.gathered():
            yield
