"""Which trial comes next, as Ray Tune asks it."""

from typing import Any

from ray.tune.search import Searcher

from search.log import EVENTS
from search.record.trials import Proposal, TrialRecord
from search.run.halt import Halt
from search.run.profile import Profile
from search.run.shares import Shares


class SweepSearcher(Searcher):
    """Left-over trials first, then new ones, the student furthest from its target before the others.

    A `Searcher` of our own rather than Ray's OptunaSearch, which knows one study, and records trials
    that were stopped early as complete and those that failed as running.
    """

    def __init__(
        self,
        record: TrialRecord,
        shared: dict[str, Any],
        shares: Shares,
        profile: Profile,
        halt: Halt | None = None,
    ) -> None:
        """``shared`` is what every trial's config holds: corpus, head, objective, placement, checkpoint_epochs."""
        super().__init__()
        self.record, self.shared, self.shares, self.profile = record, shared, shares, profile
        self.halt = halt
        self.waiting = list(record.left_over())
        self._at_work: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its searcher for a restore of its own, which distune never asks for."""
        return {}

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if self.halt and self.halt.wanted:
            return None
        with self.profile.at_work("suggestions"):
            proposal = self.waiting.pop(0) if self.waiting else self._new()
        if proposal is None:
            # A trial at work may run out of memory and come back, so only the last one's end is the end.
            return None if self._at_work else Searcher.FINISHED
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
            "resources": self.shares.of(proposal.config),
        }

    def run_again(self, student: str, number: int) -> None:
        """Put a trial that was interrupted back in the queue."""
        self.waiting.append(self.record.begun(student, number))

    def enlarge(self, student: str, number: int, gpu_share: float) -> bool:
        """A larger share from now on for trials like this one, which ran out of memory on ``gpu_share``.

        Returns:
            False where there is no larger one.
        """
        return self.shares.enlarge(self.record.begun(student, number).config, gpu_share)

    def _new(self) -> Proposal | None:
        sweep, record = self.record.sweep, self.record
        share_missing = {student: record.missing(student) / record.target(student) for student in sweep.students}
        for student in sorted(sweep.students, key=lambda name: -share_missing[name]):
            if share_missing[student] > 0 and (proposal := self.record.propose(student)):
                return proposal
        return None

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing: the record is Optuna's, and a resumed sweep is a new Tune run over it."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Only that it is over; the recorder sees every end, with its reason."""
        self._at_work.discard(trial_id)
