"""The record of a sweep: one Optuna study a student, in a journal file that outlives the driver.

Ray's experiment folder is disposable; whatever is needed to resume, extend, rank or export a
sweep is written here as it happens.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
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
        self.studies = {student: self._study(student, index) for index, student in enumerate(sweep.students)}
        self._refuse_another_sweep(journal, fingerprint)
        for student, study in self.studies.items():
            if not study.trials:
                for name, point in spaces[student].enqueued(n_layers).items():
                    study.enqueue_trial(point, user_attrs={"known_point": name})

    def _study(self, student: str, index: int) -> optuna.Study:
        search = self.sweep.search
        sampler = optuna.samplers.TPESampler(seed=search.seed + index, n_startup_trials=search.startup_trials)
        return optuna.create_study(
            storage=self.storage,
            study_name=f"{self.sweep.name}/{student}",
            direction="maximize" if self.sweep.objective.mode == "max" else "minimize",
            sampler=sampler,
            load_if_exists=True,
        )

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
                # A driver that died between asking and noting left no config; drawing again gives the same.
                if "config" in trial.user_attrs:
                    config = TrialConfig.from_flat(trial.user_attrs["config"])
                else:
                    config = self._draw(student, optuna.Trial(study, trial._trial_id))
                reported = max(trial.intermediate_values, default=0)
                yield Proposal(student, trial.number, config, trial.user_attrs.get("checkpoint"), reported)

    def propose(self, student: str) -> Proposal:
        """Ask the student's study for a new trial."""
        trial = self.studies[student].ask()
        return Proposal(student, trial.number, self._draw(student, trial), None, 0)

    def _draw(self, student: str, trial: optuna.Trial) -> TrialConfig:
        """The trial's configuration, drawn from the student's space and noted in the record."""
        n_epochs = self.sweep.epochs_of(student)
        config = TrialConfig.from_flat(
            {
                "optimizer.warmup_epochs": min(TrialConfig().optimizer.warmup_epochs, n_epochs - 1),
                **self.spaces[student].suggest(trial, self.n_layers),
                "model.architecture": student,
                "training.epochs": n_epochs,
                # Seeds differ, so that no configuration wins by one lucky seed shared by all.
                "seed": 1000 * self.sweep.search.seed + trial.number,
            }
        )
        trial.set_user_attr("config", config.flat())
        return config

    def ladders(self) -> dict[str, Ladder]:
        """Each student's ladder as the recorded reports left it."""
        stopping, ladders = self.sweep.early_stopping, {}
        for student, study in self.studies.items():
            epochs = rungs(stopping.grace_epochs, stopping.reduction_factor, self.sweep.epochs_of(student))
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
        return self.studies[student].get_trials(deepcopy=False)[number]
