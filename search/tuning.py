"""Running recorded trials on Ray Tune, until the record is at its target or the user stops it."""

import datetime

from ray import tune

from search.home import SweepFolder
from search.profile import Profile
from search.recorder import Recorder
from search.resources import trials_at_once
from search.scheduler import StudentLadders, restored_ladders
from search.screen.board import SweepBoard
from search.screen.live import shown
from search.searcher import SweepSearcher
from search.shared import Shared
from search.shares import requested, shares_of
from search.states import TrialState
from search.tracking.tracker import Tracker
from search.trials import TrialRecord
from trainables.distill import DistillTrainable


def run_trials(record: TrialRecord, shared: Shared, tracker: Tracker, folder: SweepFolder, profile: Profile) -> None:
    """One Ray Tune run over all students; Ray must have been started."""
    sweep = record.sweep
    ladders, board = StudentLadders(restored_ladders(record), sweep.objective.metric), _board(record)
    with profile.stage("measuring memory"):
        shares = shares_of(sweep, shared.spaces, shared.n_layers, str(shared.corpus), shared.teacher.head_fingerprint)
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
            callbacks=[Recorder(searcher, ladders, tracker, board, profile)],
            verbose=0,
        ),
    )
    with shown(board), profile.searching(n_slots):
        tuner.fit()


def _board(record: TrialRecord) -> SweepBoard:
    """The live table, with the trials of earlier runs counted."""
    sweep = record.sweep
    board = SweepBoard(sweep.name, sweep.objective.metric, sweep.objective.mode)
    for student in sweep.students:
        board.add_student(student, sweep.trials_of(student), sweep.epochs_of(student))
        for trial in record.trials(student):
            state = TrialState.of_optuna(trial.state)
            if state.is_over:
                best = trial.user_attrs.get("best", {})
                board.recorded(student, state, best.get(sweep.objective.metric), best.get("val_f1"))
    return board
