"""What a sweep found, for the terminal."""

from rich.console import Console
from rich.table import Table

from search.home import open_home
from search.record.budget import HOUR
from search.record.results import SweepResults
from search.record.states import TrialState
from search.screen.confirm import print_confirmations
from search.screen.insight import print_alarms, print_insight


def print_summary(results: SweepResults, again: str | None) -> None:
    """Print what won and by how much, whether to believe it, why, and what to do next.

    Args:
        again: the command that goes on with the sweep; none where somebody is at work on it.
    """
    console = Console(soft_wrap=True, highlight=False, markup=False)
    _print_best(results, console)
    print_confirmations(results, console)
    print_alarms(results, console)
    print_insight(results, console)
    _print_next(results, again, console)


def _print_best(results: SweepResults, console: Console) -> None:
    """Each student's best beside its known points, and the teacher."""
    metric = results.sweep.objective.metric
    console.print(f"sweep {results.sweep.name}: best {metric} on the validation clips")
    table = Table()
    table.add_column("student", no_wrap=True)
    for column in ("ended", "pruned", "best", "its\nF1", "trial", "not\ndistilled", "guide"):
        table.add_column(column, justify="right")
    for student in results.sweep.students:
        table.add_row(student, *_cells(results, student))
    console.print(table)
    teacher = results.facts["teacher_metrics"]["val"]
    name = results.sweep.objective.test_metric.removeprefix("test_")
    console.print(f"teacher: validation {name} {teacher[name]:.3f}, F1 {teacher['f1']:.3f}")


def _print_next(results: SweepResults, again: str | None, console: Console) -> None:
    """What failed, what is yet to run, and what to do with what there is."""
    sweep = results.sweep
    for reason, which in results.failures.items():
        console.print(f"failed: {', '.join(which)}: {reason}")
    for student in results.exhausted:
        console.print(f"{student}: its search space holds no further configuration; it ends with fewer trials")
    console.print(_spent(results))
    if results.n_missing and again is None:
        console.print(f"trials yet to end: {results.n_missing}")
    elif results.n_missing and (limit := results.limit_reached):
        told = f"{limit} = {getattr(results.sweep.budget, limit.removeprefix('budget.')):g} is reached"
        console.print(f"{told}; trials yet to end: {results.n_missing}; go on with: {again} --set {limit}=MORE")
    elif results.n_missing:
        stopped = "stopped by the user; " if results.stopped else ""
        console.print(f"{stopped}trials yet to end: {results.n_missing}; go on with: {again}")
    ready = [student for student in sweep.students if results.best(student)]
    if ready:
        lines = [f"distune export {sweep.name} --student {student} -o {student}.yaml" for student in ready]
        console.print("export a best configuration:", *lines, sep="\n  ")
        console.print(f"see the trials: distune ui {sweep.name}")
    console.print(f"records: {open_home().sweep(sweep.name).path}")


def _spent(results: SweepResults) -> str:
    """Hours, cost, and what early stopping saved of the epochs that its trials would have had."""
    spent, saved = results.spent, results.epochs_saved
    words = [f"spent: {spent.wall_seconds / HOUR:.2f} hours"]
    if spent.gpu_seconds:
        words.append(f"{spent.gpu_seconds / HOUR:.2f} GPU hours")
    if (cost := spent.cost(results.sweep.budget)) is not None:
        words.append(f"cost {cost:.2f}")
    if saved:
        due = saved + results.epochs_trained
        words.append(f"early stopping saved {saved} of {due} epochs ({saved / due:.0%})")
    return ", ".join(words)


def _cells(results: SweepResults, student: str) -> list[str]:
    trials = results.trials.get(student, [])
    states = [TrialState.of_optuna(trial.state) for trial in trials]
    best, metric = results.best(student), results.sweep.objective.metric
    known = {trial.user_attrs.get("known_point"): trial.user_attrs.get("best", {}).get(metric) for trial in trials}
    return [
        f"{sum(state.is_over for state in states)}/{len(states) + results.to_begin[student]}",
        str(states.count(TrialState.PRUNED)),
        _number(best.objective if best else None),
        _number(best.metrics["val_f1"] if best else None),
        str(best.number) if best else "-",
        _number(known.get("no_distillation")),
        _number(known.get("guide")),
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
