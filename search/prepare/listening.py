"""The stream of a sweep's objective: found and judged before anything is computed, then made beside the corpus."""

import numpy as np

from spaces.errors import Fault, refuse
from spaces.sections import ON_A_STREAM
from spaces.sweep import SweepConfig
from trainables.audio.check import LoadedClips
from trainables.stream.detector import Streaming
from trainables.stream.epochs import affordable_interval, measuring_costs
from trainables.stream.heard import Recipe
from trainables.stream.rates import Session, Track
from trainables.stream.recordings import Recording, find_recordings

KEY = "objective.stream"


def find_stream(sweep: SweepConfig) -> list[Recording]:
    """The recordings of ``objective.stream``; none where it names no folder.

    Raises:
        InputError: no recordings there, or so few hours that the rate allows not one false accept.
    """
    objective = sweep.objective
    if objective.stream is None:
        return []
    recordings = find_recordings(objective.stream, KEY)
    tracks = [Track(each.name, np.zeros(0), each.seconds, each.words) for each in recordings]
    hours, rate = Session(tracks, Streaming()).hours, objective.false_accepts_per_hour
    if rate * hours < 1:
        raised = f", or raise objective.false_accepts_per_hour to {1.001 / hours:.4g}" if hours else ""
        remedy = (
            f"has {_told(hours)} beside its wake words, in which {rate:g} false accepts an hour are less than one; "
            f"give at least {_told(1 / rate)}{raised}"
        )
        refuse([Fault(str(objective.stream), KEY, None, remedy)])
    return recordings


def stream_recipe(sweep: SweepConfig, recordings: list[Recording], clips: LoadedClips) -> Recipe | None:
    """What the stream is made of: recordings, and the wake words of the validation clips where they hold none.

    Raises:
        InputError: at ``objective.stream_epochs``, a rung of early stopping would compare by an earlier epoch's value;
            or that key is left out, and measuring takes more than a tenth of the training.
    """
    if not recordings:
        return None
    words = [loaded for loaded in clips.of("val") if loaded.clip.label == 1]
    recipe = Recipe(recordings, words, Streaming())
    refuse([fault for student in sweep.students for fault in _interval_faults(sweep, student, recipe, clips)])
    return recipe


def _interval_faults(sweep: SweepConfig, student: str, recipe: Recipe, clips: LoadedClips) -> list[Fault]:
    objective, n_epochs, n_clips = sweep.objective, sweep.epochs_of(student), len(clips.of("train"))
    n_windows, grace = recipe.n_windows, sweep.grace_epochs_of(student)
    climbs = objective.metric == ON_A_STREAM and sweep.early_stopping.scheduler != "none"
    most = min(grace, n_epochs) if climbs else n_epochs
    given = objective.stream_epochs
    if given is None:
        interval = affordable_interval(n_windows, n_clips, n_epochs)
        if interval is None or interval > most:
            rung = f" if it is to be measured by epoch {most}, its first rung" if climbs else ""
            remedy = (
                f"its {n_windows:,} windows take the time of {measuring_costs(n_windows, n_clips):.3g} epochs of "
                f"{student} each time, more than a tenth of its training{rung}; set objective.stream_epochs (up to "
                f"{most}) to take that time all the same, or give a shorter stream"
            )
            return [Fault(sweep.name, KEY, str(objective.stream), remedy)]
    elif climbs and given > most:
        remedy = f"{student} is compared at epoch {most} already, by a value of an earlier one; choose up to {most}"
        return [Fault(sweep.name, "objective.stream_epochs", given, remedy)]
    return []


def _told(hours: float) -> str:
    return f"{hours:.3g} h" if hours >= 1 else f"{60 * hours:.3g} min"
