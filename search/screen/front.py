"""The trials of a sweep that are worth their size, for the terminal."""

from rich.table import Table

from search.record.results import SweepResults

KILO = 1000


def front_table(results: SweepResults) -> Table:
    """A row a trial of the Pareto front, the smallest first."""
    objective = results.sweep.objective
    table = Table(
        title=f"worth their size: no other is as good by {objective.metric} and as small", title_justify="left"
    )
    table.add_column("student", no_wrap=True)
    for column in ("trial", objective.metric, "flash, kB", "parameters", "MACs, k"):
        table.add_column(column, justify="right")
    for trial in results.front():
        size = trial.size
        table.add_row(
            trial.student,
            str(trial.number),
            f"{trial.objective:.3f}",
            f"{size['flash_kb']:,.1f}",
            f"{size['parameters']:,}",
            f"{size['macs'] / KILO:,.0f}",
        )
    return table
