"""What confirming a student's winner came to, read from its record alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial

from search.confirm.statistics import Gain, Spread, paired_gain
from spaces.sections import HIGHER_IS_BETTER, Objective
from spaces.trial import TrialConfig

Kind = Literal["candidate", "no_distillation", "logits_only"]
BASELINES: tuple[Kind, ...] = ("no_distillation", "logits_only")
ARMS, PLANNED = "arms", "planned"
"""Attributes of a confirming study: its arms, and how many runs there are to be."""


@dataclass(frozen=True)
class Arm:
    """One configuration that is confirmed, or a baseline beside it.

    Attributes:
        name: as people read it, e.g. ``trial 7`` or ``no distillation``.
        trial_number: of the search trial whose configuration this is; ``None`` of one made for confirming.
        config: but for its seed.
        runs: seed to the metrics of the run's best epoch on validation, as ``val_pauc`` and ``test_pauc``.
        checkpoints: seed to the run's last checkpoint.
        numbers: seed to the run's number, which names its folder, see `search.home.SweepFolder.confirmed_run`.
    """

    name: str
    kind: Kind
    trial_number: int | None
    config: TrialConfig
    runs: Mapping[int, Mapping[str, float]]
    checkpoints: Mapping[int, str]
    numbers: Mapping[int, int] = field(default_factory=dict)

    @property
    def family(self) -> Kind | None:
        """The baseline whose teaching the configuration has, whatever the arm's kind; ``None`` where it aligns."""
        return family_of(self.config)


@dataclass(frozen=True)
class Confirmation:
    """A student's arms, each on the same seeds.

    Attributes:
        arms: candidates in the order of the search, then baselines.
        failures: runs that failed, a line each.
        n_missing: runs that are yet to end.
    """

    student: str
    objective: Objective
    arms: tuple[Arm, ...]
    failures: tuple[str, ...] = ()
    n_missing: int = 0

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those that all arms have; an arm whose every run failed, or is yet to end, is left out."""
        ran = [set(arm.runs) for arm in self.arms if arm.runs]
        return tuple(sorted(set.intersection(*ran))) if ran else ()

    @property
    def winner(self) -> Arm | None:
        """The candidate with the best mean objective on validation, the search's better one of a tie."""
        candidates = [arm for arm in self.arms if arm.kind == "candidate" and arm.runs]
        if not candidates or not self.seeds:
            return None
        return max(candidates, key=self.score)

    def score(self, arm: Arm) -> float:
        """The mean objective on validation, negated where less is better."""
        return self.objective.sign * self.spread(arm, self.objective.metric).mean

    def best_seed(self, arm: Arm) -> int:
        """The seed of the arm's best run by validation: the one to ship, since one is shipped."""
        return max(self.seeds, key=lambda seed: self.objective.sign * arm.runs[seed][self.objective.metric])

    def candidate(self, number: int) -> Arm | None:
        """The arm that confirms a trial of the search, if there is one with runs."""
        candidates = (arm for arm in self.arms if arm.kind == "candidate" and arm.runs)
        return next((arm for arm in candidates if arm.trial_number == number), None)

    def baseline(self, kind: Kind) -> Arm | None:
        """The arm of a kind, if it has runs."""
        return next((arm for arm in self.arms if arm.kind == kind and arm.runs), None)

    def comparable(self, arm: Arm) -> dict[Kind, Arm]:
        """The baselines that an arm can be compared with: not one whose very configuration it is."""
        found = {kind: self.baseline(kind) for kind in BASELINES}
        own = settings_of(arm.config)
        return {kind: over for kind, over in found.items() if over and settings_of(over.config) != own}

    def spread(self, arm: Arm, metric: str) -> Spread:
        """A metric of an arm over the seeds that all arms have.

        Args:
            metric: e.g. ``val_pauc`` or ``test_f1``.
        """
        return Spread.of([arm.runs[seed][metric] for seed in self.seeds])

    def gain(self, arm: Arm, over: Arm, metric: str) -> Gain:
        """What ``arm`` gains over another, paired by the seeds that all arms have.

        Args:
            metric: one that a sweep may optimise, on validation or test.
        """
        sign = 1 if HIGHER_IS_BETTER[f"val_{metric.partition('_')[2]}"] else -1
        return paired_gain([sign * (arm.runs[seed][metric] - over.runs[seed][metric]) for seed in self.seeds])


def family_of(config: TrialConfig) -> Kind | None:
    """Which baseline's teaching a configuration has: none, logits alone, or ``None`` where it aligns."""
    if not config.distillation.enabled:
        return "no_distillation"
    return None if config.distillation.aligned else "logits_only"


def settings_of(config: TrialConfig) -> dict[str, Any]:
    """What makes a configuration itself: everything but the seed."""
    return {key: value for key, value in config.flat().items() if key != "seed"}


def study_name(sweep: str, student: str) -> str:
    return f"{sweep}/{student}/confirm"


def read_confirmation(student: str, objective: Objective, study: optuna.Study) -> Confirmation:
    """A student's confirmation as its study has it, finished or not."""
    trials = study.get_trials(deepcopy=False)
    noted: dict[str, dict[str, Any]] = study.user_attrs.get(ARMS, {})
    runs = [trial for trial in trials if trial.user_attrs["stage"] == "run"]
    finished = [trial for trial in runs if trial.state == optuna.trial.TrialState.COMPLETE]
    arms = tuple(_arm(name, facts, finished) for name, facts in noted.items())
    n_over = sum(trial.state.is_finished() for trial in trials)
    return Confirmation(
        student,
        objective,
        tuple(sorted(arms, key=lambda arm: arm.kind in BASELINES)),
        tuple(_failure(trial) for trial in trials if trial.state == optuna.trial.TrialState.FAIL),
        max(0, study.user_attrs.get(PLANNED, 0) - n_over),
    )


def _arm(name: str, facts: Mapping[str, Any], finished: list[FrozenTrial]) -> Arm:
    config = TrialConfig.from_flat(facts["config"])
    # By configuration: a candidate that is a baseline's too ran once for both.
    runs = [trial for trial in finished if _settings(trial) == settings_of(config)]
    own = [trial.user_attrs for trial in runs]
    return Arm(
        name,
        facts["kind"],
        facts["trial_number"],
        config,
        {attrs["config"]["seed"]: attrs["best"] | attrs["test"] for attrs in own},
        {attrs["config"]["seed"]: attrs["checkpoint"] for attrs in own if "checkpoint" in attrs},
        {trial.user_attrs["config"]["seed"]: trial.number for trial in runs},
    )


def _settings(trial: FrozenTrial) -> dict[str, Any]:
    return settings_of(TrialConfig.from_flat(trial.user_attrs["config"]))


def _failure(trial: FrozenTrial) -> str:
    attrs = trial.user_attrs
    reason = attrs.get("reason", "no reason was recorded")
    return f"{attrs['arm']}, seed {attrs['config']['seed']}: {reason}"
