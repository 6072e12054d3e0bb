"""The record of a confirmation: which runs there are to be, and which have been."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from search.confirm.arms import (
    Setting,
    baselines_of,
    confirm_seeds,
    ranked,
    tuning_points,
    tuning_seed,
    with_seed,
)
from search.confirm.results import ARMS, PLANNED, Confirmation, Kind, read_confirmation, settings_of, study_name
from search.record.journal import open_journal
from search.record.states import TrialState
from search.record.trials import Proposal, TrialRecord
from spaces.space import Space
from spaces.sweep import SweepConfig
from spaces.trial import TrialConfig

Complete, Running = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.RUNNING


@dataclass(frozen=True)
class Planned:
    """One run that is to be: to choose a baseline's configuration, or of an arm on one of the seeds."""

    stage: Literal["tuning", "run"]
    arm: str
    config: TrialConfig

    @property
    def key(self) -> tuple[str, dict[str, Any]]:
        """What tells a run from all others; two arms of one configuration share theirs."""
        return self.stage, self.config.flat()

    @property
    def attributes(self) -> dict[str, Any]:
        return {"stage": self.stage, "arm": self.arm, "config": self.config.flat()}


class ConfirmRecord(TrialRecord):
    """What is known of confirming a sweep's winners, in studies of their own in the sweep's journal.

    An arm stays as it is once it is there, so that each is trained, and its test clips are read, once: opening
    the record again adds the candidates and seeds that are new, and nothing where there are none. A baseline is
    an arm from when all its tuning has ended; its runs wait for that.

    Args:
        sweep: whose ``confirm`` says what there is to be.
        finished: student to its finished trials of the search, best first; of students without any, nothing is
            confirmed.
        spaces: what each student's baselines are tuned within.
    """

    stage = "confirm"

    def __init__(
        self, sweep: SweepConfig, journal: Path, finished: Mapping[str, list[FrozenTrial]], spaces: Mapping[str, Space]
    ) -> None:
        chosen = sweep.confirm.students or tuple(sweep.students)
        self._ranked = {student: ranked(finished[student]) for student in chosen if finished.get(student)}
        storage = open_journal(journal)
        narrowed = _to_the_end(sweep, list(self._ranked))
        self.spaces = spaces
        super().__init__(narrowed, storage, {student: _study(sweep, student, storage) for student in self._ranked})
        for student in self.studies:
            self._add_candidates(student)
            self._choose_baselines(student)

    def confirmation(self, student: str) -> Confirmation:
        return read_confirmation(student, self.sweep.objective, self.studies[student])

    # What is to run

    def missing(self, student: str) -> int:
        """Runs that are yet to begin; of a baseline that is still being tuned, as many as there are seeds."""
        return len(self._to_begin(student)) + len(self._undecided(student)) * self.sweep.confirm.seeds

    def propose(self, student: str) -> Proposal | None:
        """The next run; ``None`` where the only ones left wait for a baseline's tuning."""
        planned = next(iter(self._to_begin(student)), None)
        if planned is None:
            return None
        # In one step with what it is, so that no run lacks its facts, whenever the driver dies.
        trial = optuna.trial.create_trial(state=Running, user_attrs=planned.attributes)
        trial_id = self.storage.create_new_trial(self.studies[student]._study_id, template_trial=trial)
        return self.begun(student, self.storage.get_trial(trial_id).number)

    def begun(self, student: str, number: int) -> Proposal:
        """A recorded run; those that are no tuning read the test split at their end."""
        stage = self._trial(student, number).user_attrs["stage"]
        return replace(super().begun(student, number), reads_test=stage == "run")

    def config_of(self, student: str, trial: FrozenTrial) -> TrialConfig:
        return TrialConfig.from_flat(trial.user_attrs["config"])

    def tags(self, student: str, number: int) -> dict[str, Any]:
        """What MLflow shows of a run beside its parameters."""
        attrs = self._trial(student, number).user_attrs
        own = {"distune.arm": attrs["arm"], "distune.role": attrs["stage"], "distune.seed": attrs["config"]["seed"]}
        return super().tags(student, number) | own

    def end(self, student: str, number: int, state: TrialState) -> None:
        """Close a run; the last of a baseline's tuning decides on its configuration."""
        super().end(student, number, state)
        self._choose_baselines(student)

    # What is planned

    def _to_begin(self, student: str) -> list[Planned]:
        keys = [(trial.user_attrs["stage"], trial.user_attrs["config"]) for trial in self.trials(student)]
        found: list[Planned] = []
        for planned in self._plan(student):
            if planned.key not in keys:
                keys.append(planned.key)
                found.append(planned)
        return found

    def _plan(self, student: str) -> Iterator[Planned]:
        """Tuning first, because runs wait for it; then seed by seed, so that arms can be compared early."""
        for kind, points in self._undecided(student).items():
            for point in points:
                yield Planned("tuning", _named(kind), point.config)
        for seed in confirm_seeds(self.sweep):
            for name, facts in self._arms(student).items():
                yield Planned("run", name, with_seed(TrialConfig.from_flat(facts["config"]), seed))

    def _points(self, student: str, kind: Kind) -> list[Setting]:
        """What a baseline is chosen among, with the seed of tuning."""
        confirm, seed = self.sweep.confirm, tuning_seed(self.sweep)
        points = tuning_points(kind, self._ranked[student], self.spaces[student], confirm.learning_rates)
        return [replace(point, config=with_seed(point.config, seed)) for point in points]

    def _undecided(self, student: str) -> dict[Kind, list[Setting]]:
        """Baselines that are yet to be chosen, with what among, where that takes runs that have not ended."""
        arms = self._arms(student)
        over = [trial.user_attrs["config"] for trial in self._tuned(student) if trial.state.is_finished()]
        points = {kind: self._points(student, kind) for kind in self._baselines(student) if _named(kind) not in arms}
        return {
            kind: found
            for kind, found in points.items()
            if len(found) > 1 and any(point.config.flat() not in over for point in found)
        }

    def _baselines(self, student: str) -> tuple[Kind, ...]:
        return baselines_of(self.spaces[student])

    def _tuned(self, student: str) -> list[FrozenTrial]:
        return [trial for trial in self.trials(student) if trial.user_attrs["stage"] == "tuning"]

    # Arms

    def _arms(self, student: str) -> dict[str, dict[str, Any]]:
        return dict(self.studies[student].user_attrs.get(ARMS, {}))

    def _add_arm(self, student: str, name: str, kind: Kind, setting: Setting) -> None:
        facts = {"kind": kind, "trial_number": setting.trial_number, "config": setting.config.flat()}
        self.studies[student].set_user_attr(ARMS, self._arms(student) | {name: facts})

    def _add_candidates(self, student: str) -> None:
        there = [
            settings_of(TrialConfig.from_flat(facts["config"]))
            for facts in self._arms(student).values()
            if facts["kind"] == "candidate"
        ]
        for setting in self._ranked[student][: self.sweep.confirm.top]:
            if settings_of(setting.config) not in there:
                self._add_arm(student, f"trial {setting.trial_number}", "candidate", setting)

    def _choose_baselines(self, student: str) -> None:
        """Make arms of the baselines whose tuning is over, the best by the validation objective of each."""
        settled = {*map(_named, self._undecided(student)), *self._arms(student)}
        for kind in self._baselines(student):
            if _named(kind) not in settled and (best := self._best_point(student, kind)):
                self._add_arm(student, _named(kind), kind, best)
        self.studies[student].set_user_attr(PLANNED, self.target(student))

    def _best_point(self, student: str, kind: Kind) -> Setting | None:
        """``None`` where all of a baseline's tuning failed; what is alone has nothing to be compared with."""
        points = self._points(student, kind)
        if len(points) == 1:
            return points[0]
        sign = self.sweep.objective.sign
        values = {
            point: sign * trial.values[0]
            for point in points
            for trial in self._tuned(student)
            if trial.state == Complete and trial.user_attrs["config"] == point.config.flat()
        }
        return max(values, key=lambda point: values[point], default=None)


def _named(kind: Kind) -> str:
    return kind.replace("_", " ")


def _to_the_end(sweep: SweepConfig, students: list[str]) -> SweepConfig:
    """The sweep of its confirming runs: these students, each run to its end.

    Limits on hours and cost are of the search: a winner that is half confirmed has cost as much, for nothing.
    """
    stopping = sweep.early_stopping.model_copy(update={"scheduler": "none"})
    budget = sweep.budget.model_copy(update={"hours": None, "gpu_hours": None, "cost": None})
    kept = {student: sweep.students[student] for student in students}
    return sweep.model_copy(update={"early_stopping": stopping, "budget": budget, "students": kept})


def _study(sweep: SweepConfig, student: str, storage: BaseStorage) -> optuna.Study:
    return optuna.create_study(
        storage=storage,
        study_name=study_name(sweep.name, student),
        direction="maximize" if sweep.objective.mode == "max" else "minimize",
        # It draws nothing; Optuna wants one.
        sampler=RandomSampler(),
        load_if_exists=True,
    )
