"""The record of a sweep: one Optuna study a student, in a journal file that outlives the driver.

Ray's experiment folder is disposable; whatever is needed to resume, extend, rank or export a
sweep is written here as it happens.
"""

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.search_space import IntersectionSearchSpace
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from search.ladder import Ladder, rungs
from search.results import begun_trials
from search.states import TrialState
from spaces.errors import Fault, InputError
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


class SweepRecord:
    """Everything known of a sweep's trials, and the only writer of it.

    Args:
        sweep: names the studies and sets the samplers.
        spaces: a search space a student, fixed keys included.
        n_layers: layers of the deepest teacher.
        fingerprint: of the corpus and its logits; a record belongs to one.
    """

    def __init__(
        self, sweep: SweepConfig, journal: Path, spaces: Mapping[str, Space], n_layers: int, fingerprint: str
    ) -> None:
        self.sweep, self.spaces, self.n_layers = sweep, spaces, n_layers
        self.storage = JournalStorage(JournalFileBackend(str(journal)))
        self.studies = {student: self._study(student) for student in sweep.students}
        self._common = {student: IntersectionSearchSpace(include_pruned=True) for student in sweep.students}
        self._refuse_another_sweep(journal, fingerprint)
        for student, study in self.studies.items():
            # One by one, so that a driver that died between two is made good.
            queued = {trial.user_attrs.get("known_point") for trial in study.get_trials(deepcopy=False)}
            for name, point in spaces[student].enqueued(n_layers).items():
                if name not in queued:
                    study.enqueue_trial(point, user_attrs={"known_point": name})

    def _study(self, student: str) -> optuna.Study:
        return optuna.create_study(
            storage=self.storage,
            study_name=f"{self.sweep.name}/{student}",
            direction="maximize" if self.sweep.objective.mode == "max" else "minimize",
            load_if_exists=True,
        )

    def _seed_sampler(self, student: str, number: int) -> None:
        """Make the draw of a trial a function of the sweep's seed, its number and the record so far.

        One sampler for all would begin its random numbers anew in every process: a sweep that is
        extended would draw its first trials a second time.
        """
        search = self.sweep.search
        seed = zlib.crc32(f"{search.seed}/{student}/{number}".encode())
        self.studies[student].sampler = _Sampler(self._common[student], seed, search.startup_trials)

    def _refuse_another_sweep(self, journal: Path, fingerprint: str) -> None:
        """A record mixes only trials that are comparable: same data, teacher, objective and space."""
        faults = []
        for student, study in self.studies.items():
            identity = {
                "data and teacher": fingerprint,
                "objective": self.sweep.objective.model_dump(),
                "space": self.spaces[student].model_dump(mode="json"),
                "epochs": self.sweep.epochs_of(student),
            }
            recorded = study.user_attrs.get("identity", identity)
            faults += [
                Fault(str(journal), f"{student}.{what}", None, f"the {what} changed since this sweep began; "
                      f"choose another name with --name, or undo the change")
                for what in identity if recorded[what] != json.loads(json.dumps(identity[what]))
            ]  # fmt: skip
            study.set_user_attr("identity", recorded)
        if faults:
            raise InputError(faults)

    # What is to run

    def missing(self, student: str) -> int:
        """Trials that are yet to begin, up to the student's target."""
        return max(0, self.sweep.trials_of(student) - len(self.trials(student)))

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
        # A driver that died between asking and noting left no config; drawing again gives the same.
        if "config" in trial.user_attrs:
            config = TrialConfig.from_flat(trial.user_attrs["config"])
        else:
            self._seed_sampler(student, number)
            config = self._draw(student, optuna.Trial(self.studies[student], trial._trial_id))
        checkpoint = trial.user_attrs.get("checkpoint")
        if checkpoint and not Path(checkpoint).exists():
            checkpoint = None  # Ray's folder was thrown away
        return Proposal(student, number, config, checkpoint, max(trial.intermediate_values, default=0))

    def propose(self, student: str) -> Proposal:
        """Ask the student's study for a new trial."""
        study = self.studies[student]
        self._seed_sampler(student, len(study.get_trials(deepcopy=False)))
        trial = study.ask()
        return Proposal(student, trial.number, self._draw(student, trial), None, 0)

    def _draw(self, student: str, trial: optuna.Trial) -> TrialConfig:
        """The trial's configuration, drawn from the student's space and noted in the record."""
        drawn = self.spaces[student].suggest(trial, self.n_layers)
        config = self.sweep.trial_config(student, drawn, trial.number)
        trial.set_user_attr("config", config.flat())
        return config

    def ladders(self) -> dict[str, Ladder]:
        """Each student's ladder as the recorded reports left it."""
        stopping, ladders = self.sweep.early_stopping, {}
        for student, study in self.studies.items():
            grace_epochs, n_epochs = self.sweep.grace_epochs_of(student), self.sweep.epochs_of(student)
            epochs = rungs(grace_epochs, stopping.reduction_factor, n_epochs)
            chosen = epochs if stopping.scheduler == "asha" else []
            ladders[student] = Ladder(chosen, stopping.reduction_factor, self.sweep.objective.mode == "max")
            ladders[student].restore(
                (trial.number, epoch, value)
                for trial in study.get_trials(deepcopy=False)
                for epoch, value in trial.intermediate_values.items()
            )
        return ladders

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


class _Sampler(TPESampler):
    """TPE that is told what it would find out anew: which parameters all trials share, from all of them.

    A sampler lasts for one draw (see `SweepRecord._seed_sampler`); what it knows of the trials so far need not.

    Args:
        common: of the study, kept from draw to draw.
    """

    def __init__(self, common: IntersectionSearchSpace, seed: int, n_startup_trials: int) -> None:
        super().__init__(seed=seed, n_startup_trials=n_startup_trials)
        self._common = common

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        found = self._common.calculate(study, use_cache=True)
        return {name: distribution for name, distribution in found.items() if not distribution.single()}
