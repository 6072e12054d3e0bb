"""What is known of trials: one Optuna study a student, in a journal file that outlives the driver.

Ray's experiment folder is disposable; whatever is needed to resume, extend, rank or export is written
here as it happens. Which trials there are to be is for the subclasses to say.
"""

import datetime
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial

from search.record.journal import PATIENCE_SECONDS
from search.record.results import STOPPED, begun_trials
from search.record.states import TrialState
from search.record.together import Journal
from spaces.space import Space
from spaces.sweep import SweepConfig
from spaces.trial import TrialConfig
from trainables.patience import patiently
from trainables.storage.path import StoragePath, located

Running = optuna.trial.TrialState.RUNNING


@dataclass(frozen=True)
class Proposal:
    """A trial that is to run, new or left over by a dead driver.

    ``checkpoint`` is where it goes on from, if anywhere; ``reported`` the last recorded epoch; ``reads_test`` whether
    it ends with metrics on the test clips.
    """

    student: str
    number: int
    config: TrialConfig
    checkpoint: str | None
    reported: int
    reads_test: bool = False


class TrialRecord(ABC):
    """Trials of a sweep's students, and the only writer of them.

    Attributes:
        storage: holds the studies.
        studies: student to its study.
        spaces: student to what its trials are drawn from.
    """

    spaces: Mapping[str, Space]
    stage: Literal["search", "confirm"] = "search"

    def __init__(self, sweep: SweepConfig, storage: Journal, studies: Mapping[str, optuna.Study]) -> None:
        self.sweep, self.storage, self.studies = sweep, storage, studies
        for student, study in studies.items():
            for trial in study.get_trials(deepcopy=False, states=(Running,)):
                self._carry_out_stop(student, trial)

    # What is to run

    @abstractmethod
    def missing(self, student: str) -> int:
        """Trials that are yet to begin, up to the student's target."""

    @abstractmethod
    def propose(self, student: str) -> Proposal | None:
        """A new trial; ``None`` where the next one hangs on trials that are at work."""

    @abstractmethod
    def config_of(self, student: str, trial: FrozenTrial) -> TrialConfig:
        """What a recorded trial is to train."""

    def target(self, student: str) -> int:
        """Trials there are to be."""
        return len(self.trials(student)) + self.missing(student)

    @property
    def n_missing(self) -> int:
        """Trials of all students that are to run: new ones and those a dead driver left."""
        return sum(self.missing(student) for student in self.studies) + len(list(self.left_over()))

    def left_over(self) -> Iterator[Proposal]:
        """Trials that a dead driver left running."""
        for student, study in self.studies.items():
            for trial in study.get_trials(deepcopy=False, states=(Running,)):
                yield self.begun(student, trial.number)

    def begun(self, student: str, number: int) -> Proposal:
        """A trial that is recorded as running, to go on from its last checkpoint."""
        trial = self._trial(student, number)
        checkpoint = trial.user_attrs.get("checkpoint")
        place = checkpoint and StoragePath(located(checkpoint))
        if place and not patiently(place.exists, "a trial's checkpoint", PATIENCE_SECONDS):
            checkpoint = None  # Ray's folder was thrown away
        return Proposal(student, number, self.config_of(student, trial), checkpoint, self.reached(student, number))

    # What happens

    def together(self) -> AbstractContextManager[None]:
        """Write what is recorded in the block at once, see `Journal.together`."""
        return self.storage.together()

    def report(self, student: str, number: int, epoch: int, value: float, *, stopped: bool = False) -> None:
        """Record the objective after an epoch; an epoch repeated after a resume is recorded once.

        Args:
            stopped: early stopping ends the trial here.
        """
        trial = self._trial(student, number)
        if stopped:
            # Before the report, which makes it stand: a rung is never recorded without what was decided there.
            self.note(student, number, "stopped_at", epoch)
        if epoch not in trial.intermediate_values:
            # Not through optuna.Trial: making one draws from the sampler.
            self.storage.set_trial_intermediate_value(trial._trial_id, epoch, value)

    def reached(self, student: str, number: int) -> int:
        """The last epoch that was recorded of a trial, 0 before the first."""
        return max(self._trial(student, number).intermediate_values, default=0)

    def noted(self, student: str, number: int, key: str) -> Any:
        """A fact that was noted of a trial, ``None`` where it was not."""
        return self._trial(student, number).user_attrs.get(key)

    def tags(self, student: str, number: int) -> dict[str, Any]:
        """What MLflow shows of a trial beside its parameters."""
        config = self.noted(student, number, "config")
        return {"distune.sweep": self.sweep.name} | ({"distune.seed": config["seed"]} if config else {})

    def note(self, student: str, number: int, key: str, value: Any) -> None:
        """Attach a fact to a trial: its checkpoint, the metrics of its best epoch, its reason of failure."""
        self.storage.set_trial_user_attr(self._trial(student, number)._trial_id, key, value)

    def end(self, student: str, number: int, state: TrialState) -> None:
        """Close a trial; a finished one is worth the best objective it reported."""
        study = self.studies[student]
        if state is TrialState.FINISHED:
            reported = self._trial(student, number).intermediate_values.values()
            best = max(reported) if self.sweep.objective.mode == "max" else min(reported)
            study.tell(number, [best, self.size_of(student, number)] if self.minimises_size(student) else best)
        else:
            study.tell(number, state=state.optuna)

    def note_stopped(self, *, by_user: bool) -> None:
        """That the user stopped the sweep before its end, now; or that it goes on."""
        when = datetime.datetime.now().astimezone().isoformat(timespec="seconds") if by_user else None
        for study in self.studies.values():
            if study.user_attrs.get(STOPPED) != when:
                study.set_user_attr(STOPPED, when)

    def minimises_size(self, student: str) -> bool:
        """Whether the student's trials are to be small as well as good."""
        return len(self.studies[student].directions) > 1

    def size_of(self, student: str, number: int) -> float:
        """A trial's size, in the quantity that the sweep minimises."""
        return self._trial(student, number).user_attrs["size"][self.sweep.objective.size]

    def _carry_out_stop(self, student: str, trial: FrozenTrial) -> None:
        """Carry out a stop that a dead driver noted and did not live to carry out.

        Where even the report is missing, the stop never was: the trial reaches that epoch again, and is judged then.
        """
        stopped_at = trial.user_attrs.get("stopped_at")
        if stopped_at in trial.intermediate_values:
            self.end(student, trial.number, TrialState.PRUNED)
        elif stopped_at is not None:
            self.note(student, trial.number, "stopped_at", None)

    def trials(self, student: str) -> list[FrozenTrial]:
        """All trials that have begun, by number."""
        return begun_trials(self.studies[student])

    def _trial(self, student: str, number: int) -> FrozenTrial:
        # By its id: a list of all trials, several times a report, would cost more the longer a sweep is.
        study = self.studies[student]._study_id
        return self.storage.get_trial(self.storage.get_trial_id_from_study_id_trial_number(study, number))
