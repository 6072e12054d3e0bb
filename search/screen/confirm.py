"""What confirming came to, for the terminal: the arms side by side, and what to make of them in words."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from search.confirm.results import BASELINES, Arm, Confirmation
from search.confirm.statistics import Gain, Spread
from search.record.results import SweepResults


def print_confirmations(results: SweepResults, console: Console) -> None:
    """A table and a few sentences a student; nothing where confirming has not begun."""
    for student, found in results.confirmed.items():
        if found.winner is not None:
            console.print(_table(found))
            # Of what is half done nothing is said yet.
            for sentence in [] if found.n_missing else sentences(found):
                console.print(f"{student}: {sentence}")
        for failure in found.failures:
            console.print(f"{student}: failed while confirming: {failure}")
    n_missing = sum(found.n_missing for found in results.confirmed.values())
    if n_missing:
        console.print(f"confirming runs yet to end: {n_missing}; go on with: distune confirm {results.sweep.name}")


def sentences(found: Confirmation) -> list[str]:
    """What the winner is and what it gained, by the test clips, which no choice was made by."""
    winner = found.winner
    assert winner is not None  # there is no table without one
    told = [f"{winner.name} wins{_teaching(winner)}"]
    metric = found.objective.test_metric
    compared = found.comparable(winner).values()
    told += [_gained(over.name, found.gain(winner, over, metric), metric) for over in compared]
    return told + [_outdone(found, winner, over) for over in compared if found.score(over) > found.score(winner)]


def _outdone(found: Confirmation, winner: Arm, over: Arm) -> str:
    """Of a baseline that validates better than what will be exported."""
    metric = found.objective.metric
    better, worse = (found.spread(arm, metric).mean for arm in (over, winner))
    values = f"{better:.3f} {metric.replace('_', ' ', 1)} against {worse:.3f}"
    name = winner.name
    return f"{over.name} does better than {name} on validation, {values}: think twice before you ship {name}"


def _teaching(winner: Arm) -> str:
    if winner.family == "no_distillation":
        return ", which learns from labels alone: nothing that learns from the teacher did better"
    return ", which learns from the teacher's logits and aligns no layers" if winner.family == "logits_only" else ""


def _gained(over: str, gain: Gain, metric: str) -> str:
    split, _, name = metric.partition("_")
    if gain.low is None or gain.high is None:
        return f"{gain.mean:+.3f} {split} {name} over {over} with one seed, of which there is no interval"
    interval = f"95 % interval {gain.low:.3f} to {gain.high:.3f}"
    if not gain.told_from_chance:
        seeds = f"{gain.n} seeds: {gain.mean:+.3f} {split} {name}"
        return f"no gain over {over} can be told from chance with {seeds}, {interval}"
    word = "better" if gain.mean > 0 else "worse"
    return f"{word} than {over} by {abs(gain.mean):.3f} {split} {name} with {gain.n} seeds ({interval} of the gain)"


def _table(found: Confirmation) -> Table:
    """An arm a row, the winner marked; two lines a cell and no edges, so that 80 columns hold it."""
    objective, n_seeds = found.objective, len(found.seeds)
    stands = "being confirmed" if found.n_missing else "confirmed"
    title = f"{found.student} {stands}: mean and sd of {n_seeds} seed{'s' * (n_seeds > 1)}, gains with 95 % intervals"
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    baselines = [over for kind in BASELINES if (over := found.baseline(kind))]
    metrics = dict.fromkeys([objective.metric, objective.test_metric, "test_f1"])
    table.add_column("arm", no_wrap=True)
    for metric in metrics:
        table.add_column(metric.replace("_", "\n", 1), justify="right", no_wrap=True)
    gained = objective.test_metric.replace("_", " ", 1)
    for over in baselines:
        table.add_column(f"{gained} over\n{over.name}", justify="right", no_wrap=True)
    candidates = [arm for arm in found.arms if arm.runs and arm.kind == "candidate"]
    for arm in candidates:
        also = [f"= {over.name}" for over in baselines if over not in found.comparable(arm).values()]
        told = "\n".join([f"{'* ' if arm == found.winner else ''}{arm.name}", *also])
        table.add_row(told, *_cells(found, arm, metrics, baselines))
    for arm in baselines:
        if all(arm in found.comparable(candidate).values() for candidate in candidates):
            table.add_row(arm.name, *_cells(found, arm, metrics, baselines))
    return table


def _cells(found: Confirmation, arm: Arm, metrics: Iterable[str], baselines: Iterable[Arm]) -> list[str]:
    metric = found.objective.test_metric
    compared = found.comparable(arm).values()
    return [
        *(_spread(found.spread(arm, each)) for each in metrics),
        *(_gain(found.gain(arm, over, metric)) if over in compared else "-" for over in baselines),
    ]


def _spread(spread: Spread) -> str:
    return f"{spread.mean:.3f}" + (f"\n±{spread.sd:.3f}" if spread.sd is not None else "")


def _gain(gain: Gain) -> str:
    interval = "" if gain.low is None or gain.high is None else f"\n{gain.low:.3f} to {gain.high:.3f}"
    return f"{gain.mean:+.3f}{interval}"
