"""Running recorded trials on Ray Tune, until the record is at its target, a budget is reached or the user stops it."""

import datetime
import os
import platform
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import ray
from ray import tune
from ray.tune import TuneError
from ray.tune.stopper import CombinedStopper, Stopper

from search.driver import stop_asked
from search.home import SweepFolder
from search.prepare.nodes import checkpoints_of, refuse_blind_nodes
from search.prepare.shared import Shared
from search.record.states import TrialState
from search.record.trials import TrialRecord
from search.run.concurrency import Concurrency
from search.run.halt import Halt
from search.run.meter import Meter
from search.run.nodes import looking
from search.run.placed import requested
from search.run.profile import Profile
from search.run.recorder import Recorder
from search.run.resources import trials_at_once
from search.run.rooms import Rooms
from search.run.scheduler import StudentLadders, restored_ladders
from search.run.searcher import ANY_NUMBER, SweepSearcher
from search.run.shares import shares_of
from search.run.sharing import Sharing
from search.screen.board import SweepBoard
from search.screen.diverted import diverted
from search.screen.live import Show, shown
from search.tracking.tracker import Tracker
from spaces.sweep import SweepConfig
from trainables.distill import DistillTrainable
from trainables.patience import may_pass


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
    with profile.stage("reaching all nodes"):
        refuse_blind_nodes(sweep, shared.read_from, shared.teacher.head_fingerprint)
    with profile.stage("measuring memory"):
        shares = shares_of(sweep, shared.spaces, shared.n_layers, shared.read_from, shared.teacher.head_fingerprint)
    meter, halt = Meter(record), Halt(stop_asked(folder.path))
    n_slots = trials_at_once(sweep.resources, shares.smallest)
    cluster = ray.get_runtime_context().gcs_address if sweep.resources.address else platform.node()
    sharing = Sharing(folder.path, cluster, sweep.resources.priority)
    rooms = Rooms(shares, sweep.resources.placement, looking(), lambda: sharing.used_by_others)
    searcher = SweepSearcher(
        record,
        {
            "corpus": shared.read_from,
            "head": shared.teacher.head_fingerprint,
            "stream": shared.stream,
            "objective": sweep.objective.model_dump(),
            "checkpoint_epochs": sweep.resources.checkpoint_epochs,
            "placement": sweep.resources.corpus_placement,
        },
        rooms,
        profile,
        halt,
        Concurrency(sweep.resources, rooms, sharing, n_slots),
    )
    ladders = StudentLadders(restored_ladders(record), sweep.objective.metric, searcher)
    board = _board(record, ladders, meter, sharing)
    recorder = Recorder(searcher, ladders, tracker, board, profile, meter, halt)
    tuner = _tuner(sweep, folder, searcher, ladders, recorder, CombinedStopper(meter, halt))
    # Else Tune restores a preempted trial by itself, from a checkpoint that the recorder may have deleted.
    os.environ["RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE"] = "1"
    record.note_stopped(by_user=False)
    # What is diverted is so for the table too, which must find the terminal where it was moved to.
    with (
        diverted(folder.log),
        show(board),
        profile.searching(n_slots),
        _sigterm_as_ctrl_c(),
        closing(sharing),
        _storage_told(),
    ):
        tuner.fit()
    record.note_stopped(by_user=halt.wanted)


def _tuner(
    sweep: SweepConfig,
    folder: SweepFolder,
    searcher: SweepSearcher,
    ladders: StudentLadders,
    recorder: Recorder,
    stopper: Stopper,
) -> tune.Tuner:
    """Tune's run of the searcher's trials, each where and on what the searcher says."""
    filesystem, checkpoints = checkpoints_of(sweep, folder)
    return tune.Tuner(
        tune.with_resources(DistillTrainable, requested),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=ladders,
            num_samples=-1,  # until the searcher says that it has finished
            max_concurrent_trials=ANY_NUMBER,  # the searcher keeps count
            # A new actor would import torch again, seconds a trial.
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=datetime.datetime.now().strftime("%Y%m%d-%H%M%S"),
            storage_path=checkpoints,
            storage_filesystem=filesystem,
            stop=stopper,
            callbacks=[recorder],
            verbose=0,
        ),
    )


@contextmanager
def _storage_told() -> Iterator[None]:
    """Let an error of storage that ends the block be that error, of which Tune leaves only the text.

    Raises:
        OSError: the record could not be written for longer than it waits; the same command goes on.
    """
    try:
        yield
    except TuneError as error:
        cause: BaseException | None = error
        while cause:
            if isinstance(cause, OSError) and may_pass(cause):
                raise cause from None
            cause = cause.__cause__ or cause.__context__
        raise


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


def _board(record: TrialRecord, ladders: StudentLadders, meter: Meter, sharing: Sharing) -> SweepBoard:
    """The live table, with the trials of earlier runs counted."""
    sweep = record.sweep
    board = SweepBoard(
        sweep.name,
        sweep.objective.metric,
        sweep.objective.mode,
        seconds_to_limit=meter.seconds_to_limit,
        stage=record.stage,
        follows="confirming" if record.stage == "search" and sweep.confirm.enabled else "",
        part=sharing.__str__,
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
