"""How each trial learnt, epoch by epoch, and where early stopping ended it."""

from collections.abc import Iterable

import plotly.graph_objects as go
from optuna.trial import FrozenTrial, TrialState

from search.insight.agreement import rungs_of
from search.insight.comparison import best_value, last_epoch, ranked
from search.plots.plot import Data, Plot, objective_of
from search.plots.style import BLUE, GREEN, MUTED, VERMILLION, Look, rule, styled
from search.record.results import SweepResults

LOOKS = {
    TrialState.PRUNED: ("stopped early", Look(MUTED, "x", "dot")),
    TrialState.FAIL: ("failed", Look(VERMILLION, "square-open", "dash")),
    TrialState.RUNNING: ("running", Look(GREEN, "triangle-right", "solid")),
    TrialState.COMPLETE: ("finished", Look(BLUE, "circle", "solid")),
}
MOST_CURVES = 200


def curves(results: SweepResults, student: str) -> Plot | None:
    """The objective of each trial by epoch; ``None`` before a trial has reported."""
    trials = [trial for trial in results.trials.get(student, []) if trial.intermediate_values]
    if not trials:
        return None
    maximise = results.sweep.objective.mode == "max"
    best_first = ranked(trials, maximise)
    ranks = {trial.number: rank for rank, trial in enumerate(best_first)}
    shown = sorted(trials, key=lambda trial: ranks.get(trial.number, len(trials)))[:MOST_CURVES]
    figure = styled(420)
    for state, (words, look) in LOOKS.items():
        _add(figure, [trial for trial in shown if trial.state == state], words, look, 1.2, 0.55)
    if (best := results.best(student)) is not None:
        _add(
            figure,
            [trial for trial in trials if trial.number == best.number],
            "the best",
            LOOKS[TrialState.COMPLETE][1],
            3.5,
            1,
        )
    for epoch in rungs_of(trials):
        rule(figure, epoch, f"rung {epoch}", across=False)
    figure.update_layout(xaxis_title="epoch", yaxis_title=objective_of(results))
    rows = [
        (trial.number, LOOKS[trial.state][0], last_epoch(trial), trial.intermediate_values[last_epoch(trial)],
         best_value(trial, maximise), trial.user_attrs.get("reason")) for trial in shown
    ]  # fmt: skip
    return Plot(
        "learning-curves",
        "How the trials learnt",
        "A line a trial, with a mark where it ended. Vertical lines are the rungs at which early stopping ended "
        "trials; curves that cross after a rung are trials that it may have judged too early.",
        _told(trials, best.number if best else None),
        figure,
        Data.of(("trial", "state", "epochs", "last value", "best value", "reason"), rows),
    )


def _add(
    figure: go.Figure, trials: Iterable[FrozenTrial], words: str, look: Look, width: float, opacity: float
) -> None:
    """One trace for all of a kind, with gaps between trials; marks at the ends only."""
    x: list[int | None] = []
    y: list[float | None] = []
    sizes: list[int] = []
    numbers: list[int] = []
    for trial in trials:
        epochs = sorted(trial.intermediate_values)
        x += [*epochs, None]
        y += [*(trial.intermediate_values[epoch] for epoch in epochs), None]
        sizes += [0] * (len(epochs) - 1) + [9, 0]
        numbers += [trial.number] * (len(epochs) + 1)
    if x:
        figure.add_scatter(
            x=x, y=y, customdata=numbers, mode="lines+markers", name=words, opacity=opacity,
            line={"color": look.colour, "dash": look.dash, "width": width},
            marker={"color": look.colour, "symbol": look.symbol, "size": sizes, "line": {"width": 0}},
            hovertemplate=f"trial %{{customdata}}, {words}, epoch %{{x}}: %{{y:.3f}}<extra></extra>",
        )  # fmt: skip


def _told(trials: list[FrozenTrial], best: int | None) -> str:
    counts = {words: sum(trial.state == state for trial in trials) for state, (words, _) in LOOKS.items()}
    told = ", ".join(f"{n} {words}" for words, n in counts.items() if n)
    rungs = rungs_of(trials)
    at = f" Early stopping ended trials at epoch {' and '.join(map(str, rungs))}." if rungs else ""
    return (
        f"Learning curves of {len(trials)} trials: {told}."
        + (f" The best is trial {best}." if best is not None else "")
        + at
    )
