"""Running recorded trials on Ray Tune, until the record is at its target, a budget is reached or the user stops it."""

import datetime
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ray import tune
from ray.tune.stopper import CombinedStopper

from search.driver import stop_asked
from search.home import SweepFolder
from search.prepare.shared import Shared
from search.record.states import TrialState
from search.record.trials import TrialRecord
from search.run.halt import Halt
from search.run.meter import Meter
from search.run.profile import Profile
from search.run.recorder import Recorder
from search.run.resources import trials_at_once
from search.run.scheduler import StudentLadders, restored_ladders
from search.run.searcher import SweepSearcher
from search.run.shares import requested, shares_of
from search.screen.board import SweepBoard
from search.screen.diverted import diverted
from search.screen.live import Show, shown
from search.tracking.tracker import Tracker
from trainables.distill import DistillTrainable


def run_trials(
    record: TrialRecord,
    shared: Shared,
    tracker: Tracker,
    folder: SweepFolder,
    profile: Profile,
    show: Show = shown,
) -> None:
    """One Ray Tune run over all students; Ray must have been started."""
    sweep = record.sweep
    ladders = StudentLadders(restored_ladders(record), sweep.objective.metric)
    with profile.stage("measuring memory"):
        shares = shares_of(sweep, shared.spaces, shared.n_layers, str(shared.corpus), shared.teacher.head_fingerprint)
    meter, halt = Meter(record), Halt(stop_asked(folder.path))
    board = _board(record, ladders, meter)
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
        halt,
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
            stop=CombinedStopper(meter, halt),
            callbacks=[Recorder(searcher, ladders, tracker, board, profile, meter, halt)],
            verbose=0,
        ),
    )
    record.note_stopped(by_user=False)
    # What is diverted is so for the table too, which must find the terminal where it was moved to.
    with diverted(folder.log), show(board), profile.searching(n_slots), _sigterm_as_ctrl_c():
        tuner.fit()
    record.note_stopped(by_user=halt.wanted)


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


def _board(record: TrialRecord, ladders: StudentLadders, meter: Meter) -> SweepBoard:
    """The live table, with the trials of earlier runs counted."""
    sweep = record.sweep
    board = SweepBoard(
        sweep.name,
        sweep.objective.metric,
        sweep.objective.mode,
        seconds_to_limit=meter.seconds_to_limit,
        stage=record.stage,
        follows="confirming" if record.stage == "search" and sweep.confirm.enabled else "",
    )
    for student in sweep.students:
        trials = record.trials(student)
        ladder = ladders.ladders[student]
        target = len(trials) + record.missing(student)
        board.add_student(student, target, sweep.epochs_of(student), ladder.rungs, ladder.reduction_factor)
        for trial in trials:
            state = TrialState.of_optuna(trial.state)
            if state.is_over:
                best = trial.user_attrs.get("best", {})
                epoch = max(trial.intermediate_values, default=0)
                board.recorded(student, state, best.get(sweep.objective.metric), best.get("val_f1"), epoch)
    return board
