"""What a sweep found, read from its record alone."""

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import optuna
import pandas as pd
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from search.confirm.arms import with_seed
from search.confirm.results import Arm, Confirmation, read_confirmation, study_name
from search.home import NOT_RECORDED, SweepFolder
from search.record.at_work import AtWork, trials_at_work
from search.record.budget import Spent
from search.record.pareto import front as pareto_front
from search.record.states import TrialState
from spaces.errors import COMMAND_LINE, Fault, InputError
from spaces.sweep import SweepConfig
from spaces.trial import TrialConfig

EXHAUSTED = "exhausted"
"""Of a study: the space that held no further configuration."""
STOPPED = "stopped"
"""Of a study: when the user stopped the sweep, as ISO 8601 with its zone; nothing where it goes on or ended."""
Waiting = optuna.trial.TrialState.WAITING
Complete = optuna.trial.TrialState.COMPLETE
Pruned = optuna.trial.TrialState.PRUNED


def no_such_student(sweep: SweepConfig, student: str) -> Fault:
    """Of an option that names a student whom the sweep lacks."""
    remedy = f"is no student of this sweep; choose among {', '.join(sweep.students)}"
    return Fault(COMMAND_LINE, "--student", student, remedy)


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

    @property
    def arm(self) -> Arm | None:
        """The arm that confirmed it; of what was not confirmed, none."""
        return self.confirmation.candidate(self.number) if self.confirmation else None


@dataclass(frozen=True)
class SizedTrial:
    """A finished trial beside its student's size: ``parameters``, ``macs`` and ``flash_kb`` of a `StudentSize`."""

    student: str
    number: int
    objective: float
    size: Mapping[str, float]


@dataclass(frozen=True)
class SweepResults:
    """All trials of a sweep.

    Attributes:
        sweep: as it was last started.
        facts: what every trial shared: corpus and head fingerprints, teacher, its metrics.
        trials: student to its trials that have begun, by number.
        to_begin: student to the number of trials that are yet to begin.
        exhausted: the students whose spaces hold no further configuration.
        confirmed: student to what confirming its winner came to, for students where that has begun.
        spent: hours of all its runs.
        stopped: when the user stopped it, where it has not gone on since.
        at_work: the trials that reported last, search's and confirming ones; of a driver that was killed, its last.
        folder: where it is recorded.
    """

    sweep: SweepConfig
    facts: Mapping[str, Any]
    trials: Mapping[str, list[FrozenTrial]]
    to_begin: Mapping[str, int]
    exhausted: tuple[str, ...] = ()
    confirmed: Mapping[str, Confirmation] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)
    stopped: datetime.datetime | None = None
    at_work: tuple[AtWork, ...] = ()
    folder: SweepFolder | None = None

    @classmethod
    def read(cls, folder: SweepFolder) -> Self:
        """The results of a recorded sweep, running or not.

        Raises:
            InputError: there is no such sweep.
        """
        if not folder.exists:
            raise InputError(Fault(COMMAND_LINE, "NAME", folder.path.name, NOT_RECORDED))
        sweep, facts = folder.read()
        storage = JournalStorage(JournalFileBackend(str(folder.journal)))
        names = {summary.study_name for summary in optuna.get_all_study_summaries(storage, include_best_trial=False)}

        def studies(named: Callable[[str], str]) -> dict[str, optuna.Study]:
            found = {student: named(student) for student in sweep.students if named(student) in names}
            return {student: optuna.load_study(study_name=name, storage=storage) for student, name in found.items()}

        searching = studies(lambda student: f"{sweep.name}/{student}")
        confirming = studies(lambda student: study_name(sweep.name, student))
        to_begin = {student: sweep.trials_of(student) for student in sweep.students}
        return cls(
            sweep,
            facts,
            trials={student: begun_trials(study) for student, study in searching.items()},
            to_begin=to_begin
            | {student: trials_to_begin(study, to_begin[student]) for student, study in searching.items()},
            exhausted=tuple(student for student, study in searching.items() if study.user_attrs.get(EXHAUSTED)),
            confirmed={
                student: read_confirmation(student, sweep.objective, study) for student, study in confirming.items()
            },
            spent=Spent.recorded(storage, sweep.name),
            at_work=(*trials_at_work(searching, "search"), *trials_at_work(confirming, "confirm")),
            stopped=_stopped([*searching.values(), *confirming.values()]),
            folder=folder,
        )

    @property
    def n_missing(self) -> int:
        """Trials that are yet to end."""
        at_work = (not TrialState.of_optuna(trial.state).is_over for trials in self.trials.values() for trial in trials)
        return sum(self.to_begin.values()) + sum(at_work)

    @property
    def n_unconfirmed(self) -> int:
        """Confirming runs that are yet to end."""
        return sum(found.n_missing for found in self.confirmed.values())

    @property
    def failures(self) -> dict[str, list[str]]:
        """Why trials failed, each reason once, and which, as ``tiny_conv 3``."""
        found: dict[str, list[str]] = {}
        for student, trials in self.trials.items():
            for trial in trials:
                if TrialState.of_optuna(trial.state) is TrialState.FAILED:
                    reason = str(trial.user_attrs.get("reason", "no reason was recorded"))
                    found.setdefault(reason, []).append(f"{student} {trial.number}")
        return found

    @property
    def limit_reached(self) -> str | None:
        """The key of the budget's limit that is reached, e.g. ``budget.hours``."""
        return self.spent.reached(self.sweep.budget)

    @property
    def epochs_trained(self) -> int:
        """By all trials."""
        return sum(max(trial.intermediate_values, default=0) for trials in self.trials.values() for trial in trials)

    @property
    def epochs_saved(self) -> int:
        """That early stopping left untrained: what its trials lacked to their full length."""
        return sum(
            self.sweep.epochs_of(student) - max(trial.intermediate_values, default=0)
            for student, trials in self.trials.items()
            for trial in trials
            if trial.state == Pruned
        )

    def finished(self, student: str) -> list[FrozenTrial]:
        """The trials that ran to their end, the best first, the earlier one of a tie; pruned ones do not count.

        Nor do those that were larger than the sweep now allows.
        """
        trials = self.trials.get(student, [])
        finished = [trial for trial in trials if trial.state == Complete and self._is_allowed(student, trial)]
        sign = self.sweep.objective.sign
        return sorted(finished, key=lambda trial: -sign * trial.values[0])

    def _is_allowed(self, student: str, trial: FrozenTrial) -> bool:
        limit = self.sweep.students[student].max_flash_kb
        return limit is None or trial.user_attrs["size"]["flash_kb"] <= limit

    def best(self, student: str) -> BestTrial | None:
        """The best trial that ran to its end."""
        finished = self.finished(student)
        return _searched(student, finished[0]) if finished else None

    def trial(self, student: str, number: int) -> BestTrial | None:
        """One that ran to its end, as it was confirmed where it was and confirming is over."""
        found = self.confirmed.get(student)
        if found and not found.n_missing and (arm := found.candidate(number)):
            return confirmed_trial(found, arm)
        finished = [trial for trial in self.finished(student) if trial.number == number]
        return _searched(student, finished[0]) if finished else None

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
            best = self.confirmed[max(scores, key=lambda name: scores[name])]
            assert best.winner is not None  # it has a score
            return confirmed_trial(best, best.winner)
        return self.best(student) if student else self.winner()

    def winner(self) -> BestTrial | None:
        """The best of all students."""
        found = [best for student in self.trials if (best := self.best(student))]
        sign = self.sweep.objective.sign
        return max(found, key=lambda best: sign * best.objective, default=None)

    def front(self, student: str | None = None) -> list[SizedTrial]:
        """The finished trials of all students, or of one, that are worth their size, the smallest first.

        Of these, no other is at least as good and as small, and better or smaller. Size is what the sweep minimises
        beside its metric, flash where it minimises none.
        """
        finished = {
            (name, trial.number): SizedTrial(name, trial.number, trial.values[0], trial.user_attrs["size"])
            for name in self.trials
            if student in (None, name)
            for trial in self.finished(name)
        }
        measure = self.sweep.objective.size or "flash_kb"
        sign = self.sweep.objective.sign
        points = {key: (trial.size[measure], -sign * trial.objective) for key, trial in finished.items()}
        return [finished[key] for key in pareto_front(points)]

    def frame(self) -> pd.DataFrame:
        """A row a trial: student, number, state, where from, epochs, size, every key, metrics of its best epoch."""
        return pd.DataFrame([_row(student, trial) for student, trials in self.trials.items() for trial in trials])


def confirmed_trial(found: Confirmation, arm: Arm) -> BestTrial:
    """A candidate's best run by validation, under the number of the trial that it confirms."""
    assert arm.trial_number is not None  # a candidate is a trial of the search
    seed = found.best_seed(arm)
    config, metrics = with_seed(arm.config, seed), arm.runs[seed]
    objective, checkpoint = metrics[found.objective.metric], arm.checkpoints.get(seed)
    return BestTrial(found.student, arm.trial_number, config, objective, metrics, checkpoint, found)


def _searched(student: str, trial: FrozenTrial) -> BestTrial:
    config, attrs = TrialConfig.from_flat(trial.user_attrs["config"]), trial.user_attrs
    return BestTrial(student, trial.number, config, trial.values[0], attrs["best"], attrs.get("checkpoint"))


def _stopped(studies: list[optuna.Study]) -> datetime.datetime | None:
    noted = [study.user_attrs[STOPPED] for study in studies if study.user_attrs.get(STOPPED)]
    return datetime.datetime.fromisoformat(max(noted)) if noted else None


def begun_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The study's trials, by number, without those that are only enqueued, and draws that never were trained."""
    trials = study.get_trials(deepcopy=False)
    return [trial for trial in trials if trial.state != Waiting and "skipped" not in trial.user_attrs]


def trials_to_begin(study: optuna.Study, n_trials: int) -> int:
    """How many trials of a student are yet to begin: up to ``n_trials``, which warm starts are beside, and those."""
    waiting = sum("warm_start" in trial.user_attrs for trial in study.get_trials(deepcopy=False, states=(Waiting,)))
    return counted_to_begin(study, n_trials) + waiting


def counted_to_begin(study: optuna.Study, n_trials: int) -> int:
    """How many are yet to begin, warm starts apart; none where the space holds no further configuration."""
    if study.user_attrs.get(EXHAUSTED):
        return 0
    return max(0, n_trials - sum("warm_start" not in trial.user_attrs for trial in begun_trials(study)))


def _row(student: str, trial: FrozenTrial) -> dict[str, Any]:
    attrs = trial.user_attrs
    return {
        "student": student,
        "number": trial.number,
        "state": str(TrialState.of_optuna(trial.state)),
        "known_point": attrs.get("known_point"),
        "warm_start": attrs.get("warm_start"),
        "epochs": max(trial.intermediate_values, default=0),
        "reason": attrs.get("reason"),
        **attrs.get("size", {}),
        **attrs.get("config", {}),
        **attrs.get("best", {}),
    }
