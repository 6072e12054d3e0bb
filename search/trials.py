"""What is known of trials: one Optuna study a student, in a journal file that outlives the driver.

Ray's experiment folder is disposable; whatever is needed to resume, extend, rank or export is written
here as it happens. Which trials there are to be is for the subclasses to say.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from search.results import begun_trials
from search.states import TrialState
from spaces.space import Space
from spaces.sweep import SweepConfig
from spaces.trial import TrialConfig

Running = optuna.trial.TrialState.RUNNING


@dataclass(frozen=True)
class Proposal:
    """A trial that is to run, new or left over by a dead driver.

    ``checkpoint`` is where it goes on from, if anywhere; ``reported`` the last recorded epoch.
    """

    student: str
    number: int
    config: TrialConfig
    checkpoint: str | None
    reported: int


class TrialRecord(ABC):
    """Trials of a sweep's students, and the only writer of them.

    Attributes:
        storage: holds the studies.
        studies: student to its study.
        spaces: student to what its trials are drawn from.
    """

    spaces: Mapping[str, Space]

    def __init__(self, sweep: SweepConfig, storage: BaseStorage, studies: Mapping[str, optuna.Study]) -> None:
        self.sweep, self.storage, self.studies = sweep, storage, studies

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
        if checkpoint and not Path(checkpoint).exists():
            checkpoint = None  # Ray's folder was thrown away
        reported = max(trial.intermediate_values, default=0)
        return Proposal(student, number, self.config_of(student, trial), checkpoint, reported)

    # What happens

    def report(self, student: str, number: int, epoch: int, value: float) -> None:
        """Record the objective after an epoch; an epoch repeated after a resume is recorded once."""
        trial = self._trial(student, number)
        if epoch not in trial.intermediate_values:
            # Not through optuna.Trial: making one draws from the sampler.
            self.storage.set_trial_intermediate_value(trial._trial_id, epoch, value)

    def best_metrics(self, student: str, number: int) -> dict[str, float] | None:
        """The metrics of a trial's best epoch so far."""
        return self._trial(student, number).user_attrs.get("best")

    def note(self, student: str, number: int, key: str, value: Any) -> None:
        """Attach a fact to a trial: its checkpoint, best metrics, reason of failure."""
        self.storage.set_trial_user_attr(self._trial(student, number)._trial_id, key, value)

    def end(self, student: str, number: int, state: TrialState) -> None:
        """Close a trial; a finished one is worth the best objective it reported."""
        study = self.studies[student]
        if state is TrialState.FINISHED:
            values = self._trial(student, number).intermediate_values.values()
            study.tell(number, max(values) if self.sweep.objective.mode == "max" else min(values))
        else:
            study.tell(number, state=state.optuna)

    def trials(self, student: str) -> list[FrozenTrial]:
        """All trials that have begun, by number."""
        return begun_trials(self.studies[student])

    def _trial(self, student: str, number: int) -> FrozenTrial:
        # By its id: a list of all trials, several times a report, would cost more the longer a sweep is.
        study = self.studies[student]._study_id
        return self.storage.get_trial(self.storage.get_trial_id_from_study_id_trial_number(study, number))
