"""The thread that writes batches to MLflow, waits while the server is away, and loses nothing meanwhile."""

import logging
import threading
import time

from search.tracking.batch import Batch, RunKey
from search.tracking.faults import RefusedError, UnavailableError
from search.tracking.spool import Spool
from search.tracking.store import TrackingStore
from spaces.secrets import without_password

GATHER_SECONDS = 1.0  # how long points gather before they are sent
ATTEMPTS = 5  # in a row before the user is told that the server is away
MOST_POINTS = 100_000  # taken from the spool and not written, some 25 MB; what comes after waits on disk
TAKEN_AT_ONCE = 100  # batches
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 30.0  # between attempts; doubled each time

log = logging.getLogger(__name__)


class Writer:
    """The thread that gathers batches by run and sends them, in the order in which runs began to wait.

    Whoever puts a batch only appends it to the spool, however long the server is away and however much waits.

    Args:
        spool: the queue; what an earlier driver left there goes first.
    """

    def __init__(self, store: TrackingStore, uri: str, spool: Spool) -> None:
        self._store, self._uri, self._spool = store, without_password(uri), spool
        self._waiting: dict[RunKey, Batch] = {}
        self._moving = threading.Lock()
        """Held while batches change places, so that who counts them finds each."""
        self._closing, self._hurry = threading.Event(), threading.Event()
        self._failures, self._left = 0, 0
        self._deadline = float("inf")
        self._thread = threading.Thread(target=self._work, name="mlflow-writer", daemon=True)
        self._thread.start()

    def put(self, batch: Batch) -> None:
        if self._closing.is_set():
            raise RuntimeError(f"the tracker is closed, so run {batch.run.name} cannot be written; open another")
        self._spool.add(batch)

    def close(self, timeout: float) -> int:
        """Send what waits and end the thread; after ``timeout`` seconds, what still waits is left in the spool.

        Returns:
            Number of points and files left.
        """
        if self._closing.is_set() and not self._thread.is_alive():
            return self._left
        if not self._closing.is_set():
            self._deadline = time.monotonic() + timeout
            self._closing.set()
            self._hurry.set()
            self._spool.added.set()  # wakes the thread where it waits for the first arrival
        self._thread.join(timeout)
        with self._moving:
            left = [*self._waiting.values(), *self._spool.left()]
        self._left = sum(len(batch.points) + len(batch.files) + (batch.model is not None) for batch in left)
        if left:
            told = (
                "%d runs with %d points and files are yet to be written to MLflow at %s; the same command tries again"
            )
            log.warning(told, len({batch.run for batch in left}), self._left, self._uri)
        return self._left

    def _work(self) -> None:
        while True:
            self._gather(self._pause())
            self._send_all()
            self._spool.clear_if(lambda: not self._waiting)
            done = not self._waiting and not self._spool.untaken
            if self._closing.is_set() and (done or time.monotonic() >= self._deadline):
                return

    def _pause(self) -> float:
        """Seconds until the next sending."""
        if not self._failures:
            return 0.0 if self._closing.is_set() else GATHER_SECONDS
        wait = min(FIRST_WAIT_SECONDS * 2 ** (self._failures - 1), LONGEST_WAIT_SECONDS)
        return max(0.0, min(wait, self._deadline - time.monotonic()))

    def _gather(self, seconds: float) -> None:
        """Take in what arrived after ``seconds``; with nothing waiting, they begin at the first arrival."""
        if not self._waiting:
            self._spool.added.wait()
        self._hurry.wait(seconds)
        self._hurry.clear()
        n_points = sum(len(batch.points) for batch in self._waiting.values())
        while n_points < MOST_POINTS and (batches := self._taken_in()):
            n_points += sum(len(batch.points) for batch in batches)

    def _taken_in(self) -> list[Batch]:
        with self._moving:
            batches = self._spool.take(TAKEN_AT_ONCE)
            for batch in batches:
                if batch.run in self._waiting:
                    self._waiting[batch.run].absorb(batch)
                else:
                    self._waiting[batch.run] = batch
        return batches

    def _send_all(self) -> None:
        """Send what waits; at the first sign that the server is away, keep the rest for later.

        Nothing is sent past the deadline: what is left by then is the next writer's, perhaps in this very process.
        """
        for key in list(self._waiting):
            if time.monotonic() >= self._deadline:
                return
            if not self._send(self._waiting[key]):
                # To the back of the line, so that a run that the server cannot take holds up no other.
                with self._moving:
                    self._waiting[key] = self._waiting.pop(key)
                return
            del self._waiting[key]

    def _send(self, batch: Batch) -> bool:
        """Whether the batch is dealt with: the one place where a batch leaves this process."""
        try:
            self._store.write(batch)
        except UnavailableError as error:
            self._failures += 1
            if self._failures == ATTEMPTS:
                told = "MLflow at %s does not answer (%s); trials go on, and their reports are kept until it does"
                log.warning(told, self._uri, error)
            return False
        except RefusedError as error:
            told = "MLflow at %s refuses run %s (%s); its points are dropped"
            log.warning(told, self._uri, batch.run.name, error)
        if self._failures >= ATTEMPTS:
            log.warning("MLflow at %s answers again", self._uri)
        self._failures = 0
        return True
