"""What a sweep found, read from its record alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import optuna
import pandas as pd
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from search.confirm.arms import with_seed
from search.confirm.results import Confirmation, read_confirmation, study_name
from search.home import SweepFolder
from search.states import TrialState
from spaces.errors import COMMAND_LINE, Fault, InputError
from spaces.sweep import SweepConfig
from spaces.trial import TrialConfig

Waiting = optuna.trial.TrialState.WAITING
Complete = optuna.trial.TrialState.COMPLETE


@dataclass(frozen=True)
class BestTrial:
    """A student's best finished trial: its number, configuration, objective, and metrics at its best epoch.

    Of a confirmed winner, seed, objective, metrics and checkpoint are those of its best confirming run, and
    ``confirmation`` says what came of all.
    """

    student: str
    number: int
    config: TrialConfig
    objective: float
    metrics: Mapping[str, float]
    checkpoint: str | None
    confirmation: Confirmation | None = None


@dataclass(frozen=True)
class SweepResults:
    """All trials of a sweep.

    Attributes:
        sweep: as it was last started.
        facts: what every trial shared: corpus and head fingerprints, teacher, its metrics.
        trials: student to its trials that have begun, by number.
        confirmed: student to what confirming its winner came to, for students where that has begun.
    """

    sweep: SweepConfig
    facts: Mapping[str, Any]
    trials: Mapping[str, list[FrozenTrial]]
    confirmed: Mapping[str, Confirmation] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: SweepFolder) -> Self:
        """The results of a recorded sweep, running or not.

        Raises:
            InputError: there is no such sweep.
        """
        if not folder.exists:
            remedy = "is not recorded here; `distune list` names those that are, DISTUNE_HOME says where"
            raise InputError(Fault(COMMAND_LINE, "NAME", folder.path.name, remedy))
        sweep, facts = folder.read()
        storage = JournalStorage(JournalFileBackend(str(folder.journal)))
        names = {summary.study_name for summary in optuna.get_all_study_summaries(storage, include_best_trial=False)}

        def studies(of: Callable[[str], str]) -> dict[str, optuna.Study]:
            found = {student: of(student) for student in sweep.students if of(student) in names}
            return {student: optuna.load_study(study_name=name, storage=storage) for student, name in found.items()}

        trials = {student: begun_trials(study) for student, study in studies(lambda s: f"{sweep.name}/{s}").items()}
        confirmed = {
            student: read_confirmation(student, sweep.objective, study)
            for student, study in studies(lambda s: study_name(sweep.name, s)).items()
        }
        return cls(sweep, facts, trials, confirmed)

    @property
    def n_missing(self) -> int:
        """Trials that are yet to end."""
        return sum(max(0, self.sweep.trials_of(student) - self._n_over(student)) for student in self.sweep.students)

    @property
    def n_unconfirmed(self) -> int:
        """Confirming runs that are yet to end."""
        return sum(found.n_missing for found in self.confirmed.values())

    def _n_over(self, student: str) -> int:
        return sum(TrialState.of_optuna(trial.state).is_over for trial in self.trials.get(student, []))

    def finished(self, student: str) -> list[FrozenTrial]:
        """The trials that ran to their end, the best first, the earlier one of a tie; pruned ones do not count."""
        finished = [trial for trial in self.trials.get(student, []) if trial.state == Complete]
        sign = 1 if self.sweep.objective.mode == "max" else -1
        return sorted(finished, key=lambda trial: -sign * trial.values[0])

    def best(self, student: str) -> BestTrial | None:
        """The best trial that ran to its end."""
        finished = self.finished(student)
        if not finished:
            return None
        trial = finished[0]
        config = TrialConfig.from_flat(trial.user_attrs["config"])
        attrs = trial.user_attrs
        return BestTrial(student, trial.number, config, trial.values[0], attrs["best"], attrs.get("checkpoint"))

    def to_export(self, student: str | None = None) -> BestTrial | None:
        """The confirmed winner where confirming is over, otherwise the search's best.

        Args:
            student: whose; none: of all students, of whom those confirmed come first.
        """
        scores = {
            name: found.score(found.winner)
            for name, found in self.confirmed.items()
            if found.winner and not found.n_missing and student in (None, name)
        }
        if scores:
            return self._confirmed_best(max(scores, key=lambda name: scores[name]))
        return self.best(student) if student else self.winner()

    def _confirmed_best(self, student: str) -> BestTrial:
        """The winner's best run by validation, under the number of the trial that it confirms."""
        found = self.confirmed[student]
        arm = found.winner
        assert arm is not None and arm.trial_number is not None  # a candidate is a trial of the search
        seed = found.best_seed(arm)
        config, metrics = with_seed(arm.config, seed), arm.runs[seed]
        objective, checkpoint = metrics[found.objective.metric], arm.checkpoints.get(seed)
        return BestTrial(student, arm.trial_number, config, objective, metrics, checkpoint, found)

    def winner(self) -> BestTrial | None:
        """The best of all students."""
        found = [best for student in self.trials if (best := self.best(student))]
        sign = 1 if self.sweep.objective.mode == "max" else -1
        return max(found, key=lambda best: sign * best.objective, default=None)

    def frame(self) -> pd.DataFrame:
        """A row a trial: student, number, state, known_point, epochs, every key, metrics of its best epoch."""
        return pd.DataFrame([_row(student, trial) for student, trials in self.trials.items() for trial in trials])


def begun_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The study's trials, by number, without those that are only enqueued."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state != Waiting]


def _row(student: str, trial: FrozenTrial) -> dict[str, Any]:
    attrs = trial.user_attrs
    return {
        "student": student,
        "number": trial.number,
        "state": str(TrialState.of_optuna(trial.state)),
        "known_point": attrs.get("known_point"),
        "epochs": max(trial.intermediate_values, default=0),
        "reason": attrs.get("reason"),
        **attrs.get("config", {}),
        **attrs.get("best", {}),
    }
