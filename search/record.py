"""The record of a sweep's search: known points first, then what the sampler draws, up to the target."""

import zlib
from collections.abc import Mapping
from pathlib import Path

import optuna
from optuna.search_space import IntersectionSearchSpace
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from search.identity import Identity, claim
from search.journal import open_journal
from search.origin import Origin
from search.sampler import sampler_of
from search.starts import enqueue
from search.trials import Proposal, TrialRecord
from spaces.space import Space
from spaces.sweep import SweepConfig
from spaces.trial import TrialConfig


class SweepRecord(TrialRecord):
    """Everything known of a sweep's trials, and the only writer of it.

    Args:
        sweep: names the studies and sets the samplers.
        spaces: a search space a student, fixed keys included.
        n_layers: layers of the deepest teacher.
        origin: of the corpus and its logits; a record belongs to one.
    """

    def __init__(
        self, sweep: SweepConfig, journal: Path, spaces: Mapping[str, Space], n_layers: int, origin: Origin
    ) -> None:
        storage = open_journal(journal)
        super().__init__(sweep, storage, {student: _study(sweep, student, storage) for student in sweep.students})
        self.spaces, self.n_layers = spaces, n_layers
        self._common = {student: IntersectionSearchSpace(include_pruned=True) for student in sweep.students}
        identities = {student: Identity.of(sweep, student, spaces[student], origin) for student in sweep.students}
        claim(storage, self.studies, identities)
        for student, study in self.studies.items():
            enqueue(study, spaces[student].enqueued(n_layers))

    def _seed_sampler(self, student: str, number: int) -> None:
        """Make the draw of a trial a function of the sweep's seed, its number and the record so far.

        One sampler for all would begin its random numbers anew in every process: a sweep that is
        extended would draw its first trials a second time.
        """
        search = self.sweep.search
        seed = zlib.crc32(f"{search.seed}/{student}/{number}".encode())
        self.studies[student].sampler = sampler_of(search, self._common[student], seed)

    # What is to run

    def missing(self, student: str) -> int:
        """Trials that are yet to begin, up to the student's target."""
        return max(0, self.sweep.trials_of(student) - len(self.trials(student)))

    def config_of(self, student: str, trial: FrozenTrial) -> TrialConfig:
        # A driver that died between asking and noting left no config; drawing again gives the same.
        if "config" in trial.user_attrs:
            return TrialConfig.from_flat(trial.user_attrs["config"])
        self._seed_sampler(student, trial.number)
        return self._draw(student, optuna.Trial(self.studies[student], trial._trial_id))

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


def _study(sweep: SweepConfig, student: str, storage: BaseStorage) -> optuna.Study:
    return optuna.create_study(
        storage=storage,
        study_name=f"{sweep.name}/{student}",
        direction="maximize" if sweep.objective.mode == "max" else "minimize",
        load_if_exists=True,
    )
