"""What mattered, and what to be wary of, for the terminal."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from search.insight.agreement import Agreement
from search.insight.alarms import alarms
from search.insight.alpha_temperature import AlphaTemperature, Bin, Cell
from search.insight.comparison import FEWEST_TRIALS
from search.insight.importance import Importance
from search.insight.layers import LayerEffect
from search.insight.student import Insight, insight_of
from search.record.results import SweepResults

CANNOT_TELL = "cannot be told from chance"


def print_alarms(results: SweepResults, console: Console) -> None:
    """Print every alarm, or that there is none; nothing before a trial has ended."""
    if not any(trial.state.is_finished() for trials in results.trials.values() for trial in trials):
        return
    found = alarms(results)
    console.print("alarms:" if found else "alarms: none")
    _print_rows(((alarm.student or "all", f"{alarm.told} {alarm.remedy}") for alarm in found), console)


def print_insight(results: SweepResults, console: Console) -> None:
    """Print what mattered to each student whose trials have begun to end."""
    for student in results.trials:
        insight = insight_of(results, student)
        n_trials, epoch = len(insight.compared.trials), insight.compared.epoch
        if insight.compared.too_few:
            if n_trials:
                console.print(f"what mattered to {student}: too few trials to tell, {n_trials} of {FEWEST_TRIALS}")
            continue
        console.print(
            f"what mattered to {student}, by {results.sweep.objective.metric} of {n_trials} trials at epoch {epoch}:"
        )
        _print_rows(_told(insight), console)


def _print_rows(rows: Iterator[tuple[str, str]], console: Console) -> None:
    """Each as a name and a text that is wrapped beside it."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(f"  {name}", text)
    console.print(table, soft_wrap=False)


def _told(insight: Insight) -> Iterator[tuple[str, str]]:
    yield "parameters", _importances(insight.importances)
    if insight.alpha_temperature.cells:
        yield "alpha x temperature", _alpha_temperature(insight.alpha_temperature)
    if insight.layers:
        yield "teacher layers", _layers(insight.layers)
    if insight.agreements:
        yield "early stopping", f"rank correlation with the end: {_agreements(insight.agreements)}"
    if any(one.correlation is not None for one in insight.confirmed):
        yield "", f"with the confirmed means: {_agreements(insight.confirmed)}"


def _importances(importances: Sequence[Importance]) -> str:
    told = [
        f"{one.key} {one.share:.0%} (better half {_value(one.better)}, worse {_value(one.worse)})"
        for one in importances
        if one.told_from_chance
    ]
    n_others = len(importances) - len(told)
    if not told:
        return f"all {n_others} {CANNOT_TELL}"
    return ", ".join(told) + (f"; {n_others} others {CANNOT_TELL}" if n_others else "")


def _value(value: Any) -> str:
    return "-" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value).lower()


def _alpha_temperature(grid: AlphaTemperature) -> str:
    without = "" if grid.mean_without is None else f"; without logits {grid.mean_without:.3f}, n={grid.n_without}"
    if not grid.told_from_chance:
        return f"differences between {len(grid.cells)} parts of the grid {CANNOT_TELL}{without}"
    cells = sorted(grid.cells, key=lambda cell: cell.mean)
    return f"lowest {_cell(cells[0])}, highest {_cell(cells[-1])}{without}"


def _cell(cell: Cell) -> str:
    return f"{cell.mean:.3f} at {_bin(cell.alpha)} x {_bin(cell.temperature)}, n={cell.n_trials}"


def _bin(bin: Bin) -> str:
    return f"{bin.low:g}-{bin.high:g}"


def _layers(layers: Sequence[LayerEffect]) -> str:
    found = {one.layer: one.effect for one in layers if one.effect}
    told = [
        f"{layer} {effect.mean:+.3f} ({effect.low:+.3f} to {effect.high:+.3f})"
        for layer, effect in found.items()
        if effect.told_from_chance
    ]
    untold = {layer: effect for layer, effect in found.items() if not effect.told_from_chance}
    if untold:
        most = max(max(-effect.low, effect.high) for effect in untold.values())
        told.append(f"{_listed(untold)} {CANNOT_TELL} and add no more than ±{most:.3f}")
    if apart := [one.layer for one in layers if not one.effect]:
        told.append(f"{_listed(apart)} of too few trials to tell")
    return "; ".join(told)


def _listed(layers: Iterable[int]) -> str:
    return ", ".join(map(str, layers))


def _agreements(agreements: Sequence[Agreement]) -> str:
    """Correlations of ranks, of which 1 is full agreement."""
    told = [
        f"epoch {one.epoch} {one.correlation:.2f} ({one.low:.2f} to {one.high:.2f}, n={one.n_trials})"
        if one.correlation is not None
        else f"epoch {one.epoch} {CANNOT_TELL}, n={one.n_trials}"
        for one in agreements
    ]
    return "; ".join(told)
