"""How the best grew, trial by trial."""

from collections.abc import Sequence

import plotly.graph_objects as go
from optuna.trial import FrozenTrial, TrialState

from search.insight.comparison import best_value, last_epoch
from search.plots.plot import Data, Plot, objective_of
from search.plots.style import Look, looks_of, rule, styled
from search.record.results import SweepResults

STATES = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "stopped early"}
Ended = list[tuple[FrozenTrial, float, float | None]]
"""Trials in order, each with its own best value and the best of all that finished so far."""


def history(results: SweepResults, students: Sequence[str]) -> Plot | None:
    """Every ended trial by its number, and the best so far as a line; ``None`` before one has ended."""
    maximise = results.sweep.objective.mode == "max"
    found = {student: _ended(results.trials.get(student, []), maximise) for student in students}
    found = {student: ended for student, ended in found.items() if ended}
    if not found:
        return None
    figure, looks = styled(), looks_of(list(results.sweep.students))
    for student, ended in found.items():
        _add(figure, student, ended, looks[student], is_alone=len(found) == 1)
    # A teacher answers clips alone: there is nothing to say of it on a stream.
    teacher = results.facts["teacher_metrics"]["val"].get(results.sweep.objective.metric.removeprefix("val_"))
    if teacher is not None:
        rule(figure, teacher, "teacher")
    figure.update_layout(xaxis_title="trial", yaxis_title=objective_of(results))
    rows = [
        (student, trial.number, STATES[trial.state], last_epoch(trial), value, so_far)
        for student, ended in found.items()
        for trial, value, so_far in ended
    ]
    return Plot(
        "history",
        "How the best grew",
        "A mark a trial (a thin cross where early stopping ended it), a line for the best of those that ran to their "
        "end. A line that still rises at its end asks for more trials.",
        " ".join(_told(student, ended) for student, ended in found.items())
        + ("" if teacher is None else f" The teacher has {teacher:.3f}."),
        figure,
        Data.of(("student", "trial", "state", "epochs", "its best", "best so far"), rows),
    )


def _add(figure: go.Figure, student: str, ended: Ended, look: Look, is_alone: bool) -> None:
    """A student's marks and line; beside others, the line alone is in the legend."""
    for state, words in STATES.items():
        these = [(trial, value) for trial, value, _ in ended if trial.state == state]
        figure.add_scatter(
            x=[trial.number for trial, _ in these], y=[value for _, value in these], mode="markers",
            marker={"color": look.colour, "symbol": look.symbol if state == TrialState.COMPLETE else "x-thin-open",
                    "size": 7, "opacity": 0.55}, name=f"{student}, {words}", showlegend=is_alone,
            hovertemplate=f"{student} trial %{{x}}, {words}: %{{y:.3f}}<extra></extra>",
        )  # fmt: skip
    best = [(trial.number, so_far) for trial, _, so_far in ended if so_far is not None]
    figure.add_scatter(
        x=[number for number, _ in best], y=[so_far for _, so_far in best], mode="lines",
        line={"color": look.colour, "dash": look.dash, "shape": "hv", "width": 2.5}, name=f"{student}, best so far",
        hovertemplate=f"{student}, best by trial %{{x}}: %{{y:.3f}}<extra></extra>",
    )  # fmt: skip


def _ended(trials: Sequence[FrozenTrial], maximise: bool) -> Ended:
    choose = max if maximise else min
    so_far: float | None = None
    found: Ended = []
    for trial in trials:
        if trial.state not in STATES or not trial.intermediate_values:
            continue
        value = best_value(trial, maximise)
        if trial.state == TrialState.COMPLETE:
            so_far = value if so_far is None else choose(so_far, value)
        found.append((trial, value, so_far))
    return found


def _told(student: str, ended: Ended) -> str:
    best = ended[-1][2]
    if best is None:
        return f"{student}: none of {len(ended)} ended trials ran to its end."
    at = next(trial.number for trial, _, so_far in ended if so_far == best)
    return f"{student}: {best:.3f} after {len(ended)} ended trials, reached by trial {at}."
