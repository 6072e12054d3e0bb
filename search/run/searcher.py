"""Which trial comes next, as Ray Tune asks it."""

from collections.abc import Mapping
from typing import Any

from ray.tune.search import Searcher

from search.log import EVENTS
from search.record.trials import Proposal, TrialRecord
from search.run.concurrency import Concurrency
from search.run.halt import Halt
from search.run.profile import Profile
from search.run.rooms import Rooms

ANY_NUMBER = 1_000_000
"""Of trials at once, as far as Tune is concerned: the searcher itself says when there is to be no more."""


class SweepSearcher(Searcher):
    """Left-over trials first, then new ones, the student furthest from its target before the others.

    A `Searcher` of our own rather than Ray's OptunaSearch, which knows one study, and records trials
    that were stopped early as complete and those that failed as running.
    """

    def __init__(
        self,
        record: TrialRecord,
        shared: dict[str, Any],
        rooms: Rooms,
        profile: Profile,
        halt: Halt | None = None,
        concurrency: Concurrency | None = None,
    ) -> None:
        """``shared`` is what every trial's config holds: corpus, head, objective, placement, checkpoint_epochs."""
        super().__init__()
        self.record, self.shared, self.rooms, self.profile = record, shared, rooms, profile
        self.halt, self._concurrency = halt, concurrency
        self.waiting = list(record.left_over())
        self._at_work: set[str] = set()
        self._suggested = False

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its searcher for a restore of its own, which distune never asks for."""
        return {}

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """Tune leaves to the searcher how many run at once, which changes as nodes and other sweeps come and go."""
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        self._suggested = False
        if self._is_halted or self._surplus() >= 0:
            return None
        with self.profile.at_work("suggestions"):
            proposal = self.waiting.pop(0) if self.waiting else self._new()
        if proposal is None:
            # A trial at work may run out of memory and come back, so only the last one's end is the end.
            return None if self._at_work else Searcher.FINISHED
        self._suggested = True
        self._at_work.add(trial_id)
        for advice in proposal.config.notes():
            EVENTS.info("%s %d: %s", proposal.student, proposal.number, advice)
        return {
            **self.shared,
            "student": proposal.student,
            "number": proposal.number,
            "trial": proposal.config.flat(),
            "resume_from": proposal.checkpoint,
            "reported": proposal.reported if proposal.checkpoint else 0,
            "reads_test": proposal.reads_test,
            "resources": self.rooms.give(trial_id, proposal.config),
        }

    def run_again(self, student: str, number: int) -> None:
        """Put a trial that was interrupted back in the queue."""
        self.waiting.append(self.record.begun(student, number))

    def enlarge(self, student: str, number: int, failed: Mapping[str, Any]) -> bool:
        """A larger share from now on for trials like this one, which ran out of memory on the resources ``failed``.

        Returns:
            False where there is no larger one.
        """
        config = self.record.begun(student, number).config
        return self.rooms.shares.enlarge(config, failed["gpu"], failed.get("gpu_type"))

    def gives_way(self) -> bool:
        """Whether a trial is to stop for now: the user wants an end, or others want their part of the machines."""
        return self._is_halted or self._surplus() > 0

    @property
    def lets_go(self) -> bool:
        """Whether a worker without a trial is of use to other sweeps rather than to this one."""
        return self._concurrency is not None and self._concurrency.is_shared and not self._suggested

    @property
    def _is_halted(self) -> bool:
        return self.halt is not None and self.halt.wanted

    def _surplus(self) -> int:
        """Trials at work beyond those that there may be."""
        return len(self._at_work) - self._concurrency.allowed(self._n_left) if self._concurrency else -1

    def _n_left(self) -> int:
        """Trials that are yet to end."""
        return len(self._at_work) + len(self.waiting) + sum(map(self.record.missing, self.record.sweep.students))

    def _new(self) -> Proposal | None:
        sweep, record = self.record.sweep, self.record
        share_missing = {student: record.missing(student) / record.target(student) for student in sweep.students}
        for student in sorted(sweep.students, key=lambda name: -share_missing[name]):
            if share_missing[student] > 0 and (proposal := self.record.propose(student)):
                return proposal
        return None

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing: the record is Optuna's, and a resumed sweep is a new Tune run over it."""

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Where a trial runs, which it says at its start."""
        if "node" in result:
            self.rooms.seen(trial_id, result["node"])

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Only that it is over; the recorder sees every end, with its reason."""
        self._at_work.discard(trial_id)
        self.rooms.leave(trial_id)
