"""Running recorded trials on Ray Tune, until the record is at its target, a budget is reached or the user stops it."""

import datetime
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ray import tune

from search.home import SweepFolder
from search.prepare.shared import Shared
from search.record.states import TrialState
from search.record.trials import TrialRecord
from search.run.meter import Meter
from search.run.profile import Profile
from search.run.recorder import Recorder
from search.run.resources import trials_at_once
from search.run.scheduler import StudentLadders, restored_ladders
from search.run.searcher import SweepSearcher
from search.run.shares import requested, shares_of
from search.screen.board import SweepBoard
from search.screen.live import shown
from search.tracking.tracker import Tracker
from trainables.distill import DistillTrainable


def run_trials(record: TrialRecord, shared: Shared, tracker: Tracker, folder: SweepFolder, profile: Profile) -> None:
    """One Ray Tune run over all students; Ray must have been started."""
    sweep = record.sweep
    ladders, board = StudentLadders(restored_ladders(record), sweep.objective.metric), _board(record)
    with profile.stage("measuring memory"):
        shares = shares_of(sweep, shared.spaces, shared.n_layers, str(shared.corpus), shared.teacher.head_fingerprint)
    meter = Meter(record)
    n_slots = trials_at_once(sweep.resources, shares.smallest)
    searcher = SweepSearcher(
        record,
        {
            "corpus": str(shared.corpus),
            "head": shared.teacher.head_fingerprint,
            "objective": sweep.objective.model_dump(),
            "checkpoint_epochs": sweep.resources.checkpoint_epochs,
            "placement": sweep.resources.corpus_placement,
        },
        shares,
        profile,
    )
    tuner = tune.Tuner(
        tune.with_resources(DistillTrainable, requested),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=ladders,
            num_samples=-1,  # until the searcher says that it has finished
            max_concurrent_trials=n_slots,
            # A new actor would import torch again, seconds a trial.
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=datetime.datetime.now().strftime("%Y%m%d-%H%M%S"),
            storage_path=str(folder.ray),
            stop=meter,
            callbacks=[Recorder(searcher, ladders, tracker, board, profile, meter)],
            verbose=0,
        ),
    )
    with shown(board), profile.searching(n_slots), _sigterm_as_ctrl_c():
        tuner.fit()


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does: Tune winds up its run on that alone, job managers send the other."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _board(record: TrialRecord) -> SweepBoard:
    """The live table, with the trials of earlier runs counted."""
    sweep = record.sweep
    board = SweepBoard(record.title, sweep.objective.metric, sweep.objective.mode)
    for student in sweep.students:
        trials = record.trials(student)
        board.add_student(student, len(trials) + record.missing(student), sweep.epochs_of(student))
        for trial in trials:
            state = TrialState.of_optuna(trial.state)
            if state.is_over:
                best = trial.user_attrs.get("best", {})
                board.recorded(student, state, best.get(sweep.objective.metric), best.get("val_f1"))
    return board
