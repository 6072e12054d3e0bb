"""Every trial across every parameter: parallel coordinates, a row a parameter so that a phone holds them."""

from collections.abc import Mapping
from math import log

import plotly.graph_objects as go
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial

from search.insight.comparison import best_value, ranked
from search.plots.importance import value
from search.plots.plot import Data, Plot, objective_of
from search.plots.style import BLUE, FAINT, MUTED, PAPER, VERMILLION, Look, styled
from search.record.results import SweepResults

ROW = 54  # pixels
MOST_TRIALS, BEST_SHARE = 200, 0.2
KINDS = (
    ("others", Look(MUTED, "circle", "dot"), 0.8, 0.35),
    ("the best fifth", Look(BLUE, "circle", "solid"), 1.6, 0.8),
    ("the best", Look(VERMILLION, "diamond", "solid"), 3.0, 1.0),
)
Distributions = Mapping[str, BaseDistribution]


def coordinates(results: SweepResults, student: str) -> Plot | None:
    """A line a trial through its values; ``None`` before two trials have ended."""
    maximise = results.sweep.objective.mode == "max"
    trials = ranked(results.trials.get(student, []), maximise)[:MOST_TRIALS]
    distributions: dict[str, BaseDistribution] = {}
    for trial in trials:
        distributions |= trial.distributions
    if len(trials) < 2 or not distributions:
        return None
    values = {trial.number: best_value(trial, maximise) for trial in trials}
    best = trials[0]
    drawn = ", ".join(f"{key} {value(drawn)}" for key, drawn in best.params.items())
    return Plot(
        "parallel-coordinates",
        "Every trial at a glance",
        "A line a trial, from its objective down through what it drew; each row runs from the low end of its range to "
        "the high one. A line has a gap where a parameter did not apply.",
        f"{len(trials)} trials; the best, trial {best.number}, has {values[best.number]:.3f} with {drawn}.",
        _drawn(objective_of(results), trials, values, distributions),
        Data.of(
            ("trial", objective_of(results), *distributions),
            [(t.number, values[t.number], *(value(t.params.get(key)) for key in distributions)) for t in trials],
        ),
    )


def _drawn(
    objective: str, trials: list[FrozenTrial], values: Mapping[int, float], distributions: Distributions
) -> go.Figure:
    """A trace a kind of trial, with gaps between trials.

    Args:
        trials: the best first.
        values: number of a trial to its objective.
    """
    rows, n_best = 1 + len(distributions), max(1, round(BEST_SHARE * len(trials)))
    lowest, highest = min(values.values()), max(values.values())
    figure = styled(70 + ROW * rows)
    kinds = (trials[n_best:], trials[1:n_best], trials[:1])
    for (words, look, width, opacity), chosen in zip(KINDS, kinds, strict=True):
        x: list[float | None] = []
        for trial in chosen:
            x += [_place(values[trial.number], lowest, highest), *_places(trial, distributions), None]
        if chosen:
            figure.add_scatter(
                x=x, y=[*range(rows - 1, -1, -1), None] * len(chosen), mode="lines+markers", name=words,
                opacity=opacity, line={"color": look.colour, "dash": look.dash, "width": width}, hoverinfo="skip",
                marker={"color": look.colour, "symbol": look.symbol, "size": 4 + width},
            )  # fmt: skip
    _add_rows(
        figure, {objective: (f"{lowest:.3f}", f"{highest:.3f}")} | {k: _bounds(d) for k, d in distributions.items()}
    )
    return figure


def _add_rows(figure: go.Figure, bounds: Mapping[str, tuple[str, str]]) -> None:
    """A thin line a row, named above and with its bounds below, the first at the top."""
    for line, (key, (low, high)) in enumerate(reversed(list(bounds.items()))):
        figure.add_shape(type="line", x0=0, x1=1, y0=line, y1=line, line={"color": FAINT, "width": 1}, layer="below")
        for x, shift, anchor, text in (
            (0, 14, "left", f"<b>{key}</b>"),
            (0, -13, "left", low),
            (1, -13, "right", high),
        ):
            figure.add_annotation(x=x, y=line, xanchor=anchor, yshift=shift, text=text, showarrow=False,
                                  bgcolor=PAPER, opacity=0.85, font={"size": 12, "color": MUTED})  # fmt: skip
    figure.update_xaxes(visible=False, range=[-0.03, 1.03])
    figure.update_yaxes(visible=False, range=[-0.5, len(bounds) - 0.3])


def _places(trial: FrozenTrial, distributions: Distributions) -> list[float | None]:
    """From 0 to 1 on each row; ``None`` of what the trial did not draw."""
    places: list[float | None] = []
    for key, distribution in distributions.items():
        drawn = trial.params.get(key)
        if drawn is None:
            places.append(None)
        elif isinstance(distribution, CategoricalDistribution):
            places.append(_place(distribution.choices.index(drawn), 0, len(distribution.choices) - 1))
        else:
            places.append(_place(drawn, distribution.low, distribution.high, distribution.log))  # type: ignore[attr-defined]
    return places


def _place(at: float, low: float, high: float, is_log: bool = False) -> float:
    if low == high:
        return 0.5
    scale = log if is_log else float
    return (scale(at) - scale(low)) / (scale(high) - scale(low))


def _bounds(distribution: BaseDistribution) -> tuple[str, str]:
    if isinstance(distribution, CategoricalDistribution):
        return value(distribution.choices[0]), value(distribution.choices[-1])
    return value(distribution.low), value(distribution.high)  # type: ignore[attr-defined]
