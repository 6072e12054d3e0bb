"""An evaluation in the terminal."""

from rich.console import Console
from rich.table import Table

from search.evaluate.evaluation import Evaluation, Operation
from trainables.intervals import hours_to_show

CLIP_COLUMNS = {"pauc": "pAUC", "eer": "EER", "f1": "F1 at 0.5", "frr_at_fpr": "missed at 1 % FPR"}
NOTHING = "-"


def print_evaluation(found: Evaluation) -> None:
    """Clips, then the detector, then what to make of it; intervals are of 95 %."""
    console = Console(soft_wrap=True, highlight=False, markup=False)
    speakers = f", {found.n_speakers} speakers" if found.n_speakers else ", speakers not known"
    clips = f"{found.n_positive} wake words and {found.n_negative} other clips of {found.split}"
    console.print(f"{found.model}: {clips}{speakers}")
    console.print(_clip_table(found))
    heard = f"{found.hours:.2f} h of recordings, " if found.hours else ""
    console.print(f"detector: {heard}{found.n_words} wake words in {found.words_in}")
    console.print(f"threshold {found.threshold:.4g}: {found.chosen}")
    console.print(_detector_table(found))
    for line in sentences(found):
        console.print(line)


def sentences(found: Evaluation) -> list[str]:
    """What the figures allow to say."""
    told = []
    if found.released_under > found.streaming.hysteresis_low:
        told.append(f"note: half of all sound scores {found.streaming.hysteresis_low:g} and more, so that a detector "
                    f"released under that would stay on; it is released under {found.released_under:.3g} here: set "
                    "hysteresis_low so")  # fmt: skip
    if found.for_rate and found.for_rate.false_accepts:
        rate, misses = found.for_rate.false_accepts, found.for_rate.misses
        missed = f", missing {misses}" if misses else ""
        told.append(f"for {found.per_hour:g} false accepts an hour: threshold {found.for_rate.threshold:.4g}, "
                    f"with {rate} an hour on these recordings{missed}")  # fmt: skip
        needed = hours_to_show(found.per_hour)
        if rate.high > found.per_hour and found.hours < needed:
            told.append(f"note: {found.hours:.2f} h are too few to show {found.per_hour:g} an hour: "
                        f"it takes {needed:.1f} h without a single false accept")  # fmt: skip
    if not found.hours:
        told.append("note: without --stream nothing is known of false accepts an hour")
    return told


def _clip_table(found: Evaluation) -> Table:
    table = Table("clips")
    for title in CLIP_COLUMNS.values():
        table.add_column(title, justify="right")
    for outcome in found.outcomes:
        table.add_row(outcome.condition, *(str(outcome.clips[name]) for name in CLIP_COLUMNS))
    return table


def _detector_table(found: Evaluation) -> Table:
    table = Table("detector")
    for title in ("false accepts an hour", "missed", "delay, median and 90 %"):
        table.add_column(title, justify="right")
    for outcome in found.outcomes:
        table.add_row(outcome.condition, *_cells(outcome.operation))
    return table


def _cells(operation: Operation) -> tuple[str, str, str]:
    delay = operation.delay_seconds
    return (
        str(operation.false_accepts or NOTHING),
        str(operation.misses or NOTHING),
        f"{delay[0]:.2f} s, {delay[1]:.2f} s" if delay else NOTHING,
    )
