"""A sweep from its file to its results: one code path for starting, resuming and extending.

In a notebook::

    from search.sweep import Sweep
    sweep = Sweep.load("sweep.yaml").changed({"budget.trials": 40})
    results = sweep.run()
    results.frame().sort_values("val_pauc")
    results.winner().config
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import optuna
import ray

from search.confirm.run import confirm_searched
from search.home import Home, SweepFolder, open_home
from search.log import logged_to
from search.prepare.shared import Shared, make_shared
from search.record.budget import Spent
from search.record.results import SweepResults
from search.record.states import TrialState
from search.record.sweep import SweepRecord
from search.run.profile import Profile
from search.run.resources import start_ray
from search.run.tuning import run_trials
from search.screen.live import Show, shown
from search.screen.steps import Steps, heeding, shown_steps
from search.secret_files import refuse_open_secrets
from search.tracking.artifacts import log_artifacts
from search.tracking.provenance import inputs_of
from search.tracking.replay import replay
from search.tracking.store import check_store
from search.tracking.summary import front_tags, search_metrics, search_tags
from search.tracking.tracker import Tracker
from spaces.sweep import SweepConfig
from trainables.corpus.ranking import layer_scores
from trainables.teachers.head import LinearHead

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sweep:
    """A sweep that can be run; ``config`` is its file, checked."""

    config: SweepConfig

    @classmethod
    def load(cls, path: str | Path, overrides: Mapping[str, Any] | None = None) -> Self:
        """Read a sweep file; ``overrides`` are dotted keys laid over it.

        Raises:
            InputError: every fault of the file at once.
        """
        return cls(SweepConfig.load(Path(path), dict(overrides or {})))

    def changed(self, overrides: Mapping[str, Any]) -> Self:
        """The same sweep with dotted keys changed.

        Raises:
            InputError: a key or value that a sweep file could not hold.
        """
        return type(self)(self.config.overlaid(dict(overrides)))

    def run(self, steps: Steps = shown_steps, profile: Profile | None = None, show: Show = shown) -> SweepResults:
        """Bring the sweep's record up to its target: start, resume or extend it.

        Args:
            steps: shows what is done before the first trial; by default a progress bar each.
            profile: told where the seconds went.
            show: shows the trials; by default as a live table, or a line each where there is no terminal.

        Returns:
            The results so far; ``results.n_missing`` says how many trials are undone, after an interrupt or
            because a budget was reached, which ``results.limit_reached`` names.

        Raises:
            InputError: anything that cannot be used, before Ray starts.
            StoppedError: the user asked for an end, see `search.driver`, before the first trial.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        home = open_home()
        refuse_open_secrets()
        check_store(self.config.tracking.uri or home.tracking_uri, self.config.name)
        folder = home.sweep(self.config.name)
        profile = profile or Profile()
        # From the start: a second driver is refused before the teacher's pass, and this one can be stopped in it.
        with folder.claimed():
            heeded = heeding(folder.path, profile.timing(steps))
            shared = make_shared(self.config, home, heeded)
            folder.create()
            try:
                results = self._brought_up(home, folder, shared, profile, heeded, show)
                if results.n_missing and not results.limit_reached:
                    return results  # interrupted: the user wants an end
                if self.config.confirm.enabled:
                    results = confirm_searched(results, shared, home, folder, profile, show)
                if not results.n_unconfirmed:
                    log_artifacts(results, home, folder, profile.timing(steps))
                return results
            finally:
                ray.shutdown()

    def _brought_up(
        self, home: Home, folder: SweepFolder, shared: Shared, profile: Profile, steps: Steps, show: Show
    ) -> SweepResults:
        uri, inputs = self.config.tracking.uri or home.tracking_uri, inputs_of(shared.facts)
        with (
            logged_to(folder.log),
            Tracker.open(uri, self.config.name, home.artifacts, folder.spool, inputs=inputs) as tracker,
        ):
            record = SweepRecord(
                self.config,
                folder.journal,
                shared.spaces,
                shared.n_layers,
                shared.origin,
                layer_scores(shared.probes),
                shared.sources,
            )
            folder.write(self.config, shared.facts)
            if isinstance(next(iter(shared.teacher.heads.values())), LinearHead):
                shared.teacher.save(folder.teacher)
            _tell_students(tracker, record, shared)
            if record.n_missing and not Spent.recorded(record.storage, self.config.name).reached(self.config.budget):
                with steps("starting Ray"):
                    start_ray(self.config.resources)
                run_trials(record, shared, tracker, folder, profile, show)
            results = SweepResults.read(folder)
            _summarise(tracker, record, results, profile)
        return results


def _tell_students(tracker: Tracker, record: SweepRecord, shared: Shared) -> None:
    """Open the parent runs, and close the runs of trials whose end a killed driver did not tell."""
    teacher = {
        f"teacher_{split}_{name}": value
        for split, metrics in shared.teacher_metrics.items()
        for name, value in metrics.items()
    }
    for student in record.sweep.students:
        tracker.start_student(student, tags={"distune.corpus": shared.fingerprint})
        tracker.end_student(student, teacher, TrialState.RUNNING)
    replay(tracker, record)


def _summarise(tracker: Tracker, record: SweepRecord, results: SweepResults, profile: Profile) -> None:
    for student in record.sweep.students:
        metrics = search_metrics(results, student) | profile.metrics(student)
        tracker.tag_student(student, search_tags(results, student))
        over = record.missing(student) == 0 and not any(left.student == student for left in record.left_over())
        tracker.end_student(student, metrics, TrialState.FINISHED if over else TrialState.INTERRUPTED)
    for student, number, tags in front_tags(results):
        tracker.tag_trial(student, number, tags)
