"""Which trials a user means to export: the best, one by its number, or all that are worth their size."""

from search.record.results import BestTrial, SweepResults, no_such_student
from spaces.errors import COMMAND_LINE, Fault, InputError


def chosen_trials(
    results: SweepResults, student: str | None = None, number: int | None = None, pareto: bool = False
) -> list[BestTrial]:
    """The trials to export, of a front the smallest student first.

    Args:
        student: whose; none: of all students.
        number: of one trial; none: the confirmed winner, or the search's best.
        pareto: all trials of the front of metric and size instead, as ``SweepResults.front`` has it.

    Raises:
        InputError: no such student, or none of its trials that are meant has finished.
    """
    if student and student not in results.sweep.students:
        raise InputError(no_such_student(results.sweep, student))
    if number is not None:
        return [_numbered(results, student, number)]
    front = [results.trial(point.student, point.number) for point in results.front(student)] if pareto else []
    found = front or [results.to_export(student)]
    chosen = [best for best in found if best is not None]
    if not chosen:
        remedy = f"no trial of {student or 'its students'} has finished yet; let the sweep run to its end"
        raise InputError(Fault(COMMAND_LINE, "NAME", results.sweep.name, remedy))
    return chosen


def _numbered(results: SweepResults, student: str | None, number: int) -> BestTrial:
    students = [student] if student else list(results.sweep.students)
    found = [best for name in students if (best := results.trial(name, number)) is not None]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(best.student for best in found)
        remedy = f"is a trial of several students; choose one of {names} with --student"
    else:
        remedy = f"is no trial of {', '.join(students)} that ran to its end; {_numbers(results, students)}"
    raise InputError(Fault(COMMAND_LINE, "--trial", number, remedy))


def _numbers(results: SweepResults, students: list[str]) -> str:
    """Which did, in words."""
    told = {name: sorted(trial.number for trial in results.finished(name)) for name in students}
    listed = [f"{', '.join(map(str, numbers))} of {name}" for name, numbers in told.items() if numbers]
    return f"those that did: {'; '.join(listed)}" if listed else "none has yet"
