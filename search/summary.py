"""What a sweep found, for the terminal."""

from rich.console import Console
from rich.table import Table

from search.home import open_home
from search.results import SweepResults
from search.states import TrialState


def print_summary(results: SweepResults, again: str) -> None:
    """Print each student's best beside its known points, the teacher, and what to do next.

    Args:
        again: the command that goes on with the sweep.
    """
    console, sweep = Console(), results.sweep
    metric = sweep.objective.metric
    table = Table(title=f"sweep {sweep.name}: best {metric} on the validation clips", title_justify="left")
    table.add_column("student", no_wrap=True)
    for column in ("ended", "pruned", "failed", "best", "its F1", "trial", "undistilled", "guide"):
        table.add_column(column, justify="right")
    for student in sweep.students:
        table.add_row(student, *_cells(results, student))
    console.print(table)
    teacher = results.facts["teacher_metrics"]["val"]
    name = metric.removeprefix("val_")
    console.print(f"teacher: validation {name} {teacher[name]:.3f}, F1 {teacher['f1']:.3f}", highlight=False)
    if results.n_missing:
        told = f"{results.n_missing} trials are yet to end; go on with: {again}"
        console.print(told, highlight=False, soft_wrap=True)
    if results.winner():
        home = open_home()
        lines = [f"distune export {sweep.name} --student {student} -o best.yaml" for student in sweep.students]
        console.print("export a best configuration:", *lines, sep="\n  ", highlight=False, soft_wrap=True)
        console.print(f"see the trials: distune ui {sweep.name}", highlight=False, soft_wrap=True)
        console.print(f"records: {home.sweep(sweep.name).path}", highlight=False, soft_wrap=True)


def _cells(results: SweepResults, student: str) -> list[str]:
    trials = results.trials.get(student, [])
    states = [TrialState.of_optuna(trial.state) for trial in trials]
    best, metric = results.best(student), results.sweep.objective.metric
    known = {trial.user_attrs.get("known_point"): trial.user_attrs.get("best", {}).get(metric) for trial in trials}
    return [
        f"{sum(state.is_over for state in states)}/{results.sweep.trials_of(student)}",
        str(states.count(TrialState.PRUNED)),
        str(states.count(TrialState.FAILED)),
        _number(best.objective if best else None),
        _number(best.metrics["val_f1"] if best else None),
        str(best.number) if best else "-",
        _number(known.get("no_distillation")),
        _number(known.get("guide")),
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
