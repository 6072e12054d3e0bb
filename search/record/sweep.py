"""The record of a sweep's search: known points first, then what the sampler draws, up to the target."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from itertools import takewhile
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from search.log import EVENTS
from search.propose import warm_start
from search.propose.draw import Draw, distributions_of, first_choices
from search.propose.sampler import sampler_of, seed_of
from search.propose.sizes import extreme_sizes, narrowed
from search.propose.starts import NO_DISTILLATION, enqueue, known_points
from search.propose.view import StudyInSpace, outside
from search.propose.warm_start import Source
from search.record.identity import Identity, claim
from search.record.journal import open_journal
from search.record.origin import Origin
from search.record.results import EXHAUSTED, Waiting, counted_to_begin, trials_to_begin
from search.record.states import TrialState
from search.record.trials import Proposal, Running, TrialRecord
from spaces.essence import Essence, essence
from spaces.space import Space
from spaces.sweep import SweepConfig
from spaces.trial import TrialConfig
from trainables.size import student_size

log = logging.getLogger(__name__)

# After so many draws in a row that were not worth a trial, chance proposes: a sampler that has found the best of a
# small space goes on proposing it.
SKIPS_OF_A_SAMPLER = 10
# After so many, of which chance proposed most, the space is taken to hold nothing new.
MOST_SKIPS = 100


class SweepRecord(TrialRecord):
    """Everything known of a sweep's trials, and the only writer of it.

    Args:
        sweep: names the studies and sets the samplers.
        spaces: a search space a student, fixed keys included.
        n_layers: layers of the deepest teacher.
        origin: of the corpus and its logits; a record belongs to one.
        layer_scores: layer to what a probe reads from it; empty where none was probed.
        sources: student to what its study starts from.
    """

    def __init__(
        self,
        sweep: SweepConfig,
        journal: Path,
        spaces: Mapping[str, Space],
        n_layers: int,
        origin: Origin,
        layer_scores: Mapping[int, float] | None = None,
        sources: Mapping[str, list[Source]] | None = None,
    ) -> None:
        storage = open_journal(journal)
        studies = {student: _study(sweep, student, spaces[student], storage) for student in sweep.students}
        super().__init__(sweep, storage, studies)
        self.spaces, self.n_layers = spaces, n_layers
        self.distributions = {student: distributions_of(spaces[student], n_layers) for student in sweep.students}
        identities = {student: Identity.of(sweep, student, spaces[student], origin) for student in sweep.students}
        claim(storage, self.studies, identities)
        self._trained = {student: self._essences(student) for student in sweep.students}
        for student, study in self.studies.items():
            space = spaces[student]
            if study.user_attrs.get(EXHAUSTED) not in (None, self._drawn_from(student)):
                study.set_user_attr(EXHAUSTED, None)
            fitting = narrowed(student, space, self._limit(student))
            enqueue(study, known_points(fitting, n_layers, layer_scores or {}, sweep.search.seed))
            for line in warm_start.transfer(study, (sources or {}).get(student, []), space, n_layers):
                log.info("%s: %s", student, line)
            self._settle(student)

    # What is to run

    def missing(self, student: str) -> int:
        """Trials that are yet to begin, up to the student's target; warm starts are beside it."""
        return trials_to_begin(self.studies[student], self.sweep.trials_of(student))

    def config_of(self, student: str, trial: FrozenTrial) -> TrialConfig:
        return TrialConfig.from_flat(trial.user_attrs["config"])

    def propose(self, student: str) -> Proposal | None:
        """A new trial; ``None`` where the student's space holds nothing new."""
        while self.missing(student) or not self.studies[student].user_attrs.get(EXHAUSTED):
            with self.together():
                number = self._begin(student)
                accepted = self._accept(student, number)
            if accepted:
                return self.begun(student, number)
        return None

    def _essences(self, student: str) -> dict[Essence, int]:
        """What has been trained, or is being trained, and by which trial."""
        decided = (trial for trial in self.trials(student) if "config" in trial.user_attrs)
        return {essence(self.config_of(student, trial)): trial.number for trial in decided}

    def _settle(self, student: str) -> None:
        """Decide on trials that a driver began, and died before it had decided."""
        for trial in self.studies[student].get_trials(deepcopy=False, states=(Running,)):
            if skipped := trial.user_attrs.get("skipped"):
                self._skip(student, trial.number, skipped)
            elif "config" not in trial.user_attrs:
                self._accept(student, trial.number)

    def _begin(self, student: str) -> int:
        """The number of a new trial: the next one waiting, or else one that is to be drawn."""
        # Not by Study.ask, to which the first in the queue is the next: warm starts come late, and go first.
        study = self.studies[student]
        waiting = study.get_trials(deepcopy=False, states=(Waiting,))
        if not counted_to_begin(study, self.sweep.trials_of(student)):
            waiting = [trial for trial in waiting if "warm_start" in trial.user_attrs]
        if not waiting:
            return self.storage.get_trial(self.storage.create_new_trial(study._study_id)).number
        trial = min(waiting, key=_place)
        self.storage.set_trial_state_values(trial._trial_id, state=Running)
        return trial.number

    def _accept(self, student: str, number: int) -> bool:
        """Draw a trial that has begun; whether it is to be trained.

        Its configuration is noted last, so a trial without one is yet to be decided on.
        """
        study = self.studies[student]
        draw = self._draw(student, number)
        drawn = self.spaces[student].suggest(draw, self.n_layers)
        config = self.sweep.trial_config(student, drawn, number)
        draw.record(first_choices(study))
        self.note(student, number, "size", asdict(student_size(config.model)))
        if objection := self._objection(student, draw, config):
            self._skip(student, number, objection)
            return False
        search = self.sweep.search
        self.note(student, number, "seeds", {"sweep": search.seed, "sampler": seed_of(search, student, number)})
        self.note(student, number, "config", config.flat())
        self._trained[student][essence(config)] = number
        return True

    def _draw(self, student: str, number: int) -> Draw:
        """A function of the sweep's seed, the number and the record so far: taken again, it is the same."""
        search, study, distributions = self.sweep.search, self.studies[student], self.distributions[student]
        if _skipped_before(study, number) >= SKIPS_OF_A_SAMPLER:
            search = search.model_copy(update={"sampler": "random"})
        sampler = sampler_of(search, student, number, distributions)
        return Draw(
            StudyInSpace(study, distributions, number, self._limit(student)), sampler, self._trial(student, number)
        )

    def _objection(self, student: str, draw: Draw, config: TrialConfig) -> str | None:
        """Why a draw is not worth a trial."""
        if beyond := outside(draw.queued, self.distributions[student]):
            return f"{', '.join(beyond)}: beyond the search space as it is now"
        flash_kb, limit = student_size(config.model).flash_kb, self._limit(student)
        if limit is not None and flash_kb > limit:
            return f"takes {flash_kb:.1f} kB of flash, more than max_flash_kb, {limit:g}"
        if (earlier := self._trained[student].get(essence(config))) is not None:
            return f"trains what trial {earlier} trains"
        return None

    def _skip(self, student: str, number: int, reason: str) -> None:
        """Close a draw that is not to be trained.

        To Optuna it is pruned before its first report; samplers see it where it was too large, as such, and else
        not, for what it would have told stands in the record already.
        """
        study = self.studies[student]
        self.note(student, number, "skipped", reason)
        study.tell(number, state=TrialState.PRUNED.optuna)
        EVENTS.info("%s %d: skipped, %s", student, number, reason)
        if _skipped_before(study, number + 1) >= MOST_SKIPS:
            study.set_user_attr(EXHAUSTED, self._drawn_from(student))
            log.warning("%s: %d draws in a row brought nothing new; its search space is exhausted", student, MOST_SKIPS)

    def _drawn_from(self, student: str) -> dict[str, Any]:
        """What decides which draws are worth a trial, as JSON."""
        return {"space": self.spaces[student].model_dump(mode="json"), "max_flash_kb": self._limit(student)}

    def _limit(self, student: str) -> float | None:
        return self.sweep.students[student].max_flash_kb


def _place(trial: FrozenTrial) -> tuple[int, int]:
    """Of a waiting trial in the queue: the baseline, then warm starts, then the other known points."""
    if trial.user_attrs.get("known_point") == NO_DISTILLATION:
        return 0, trial.number
    return (1 if "warm_start" in trial.user_attrs else 2), trial.number


def _skipped_before(study: optuna.Study, number: int) -> int:
    """How many trials in a row were skipped right before ``number``."""
    before = reversed(study.get_trials(deepcopy=False)[:number])
    return sum(1 for _ in takewhile(lambda trial: "skipped" in trial.user_attrs, before))


def _study(sweep: SweepConfig, student: str, space: Space, storage: BaseStorage) -> optuna.Study:
    directions = [StudyDirection.MAXIMIZE if sweep.objective.mode == "max" else StudyDirection.MINIMIZE]
    # Where all trials are of one size, there is nothing to minimise.
    if sweep.objective.size and len(extreme_sizes(student, space)) > 1:
        directions.append(StudyDirection.MINIMIZE)
    name = f"{sweep.name}/{student}"
    return optuna.create_study(storage=storage, study_name=name, directions=directions, load_if_exists=True)
