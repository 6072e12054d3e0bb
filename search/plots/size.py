"""Quality against size, with the trials that are worth their size."""

from collections.abc import Mapping

import plotly.graph_objects as go
from optuna.trial import FrozenTrial

from search.plots.plot import Data, Plot, objective_of
from search.plots.style import INK, looks_of, styled
from search.record.results import SizedTrial, SweepResults

UNITS = {"flash_kb": "flash, kB", "parameters": "parameters", "macs": "multiply-accumulates"}
WIDE = 8


def size(results: SweepResults) -> Plot | None:
    """Every finished trial of all students, and their front; ``None`` before one has finished."""
    finished = {student: results.finished(student) for student in results.sweep.students}
    finished = {student: trials for student, trials in finished.items() if trials}
    if not finished:
        return None
    measure = results.sweep.objective.size or "flash_kb"
    front = results.front()
    told = [f"{one.student} trial {one.number}: {one.objective:.3f} at {one.size[measure]:,.0f}" for one in front]
    return Plot(
        "size",
        "Quality against size",
        "Ringed trials are worth their size: no other is as good and as small.",
        f"Worth their size ({UNITS[measure]}): {'; '.join(told)}.",
        _drawn(results, finished, front, measure),
        Data.of(
            ("student", "trial", objective_of(results), "flash, kB", "parameters", "MACs"),
            [(one.student, one.number, one.objective, *_sizes(one)) for one in front],
        ),
    )


def _drawn(
    results: SweepResults, finished: Mapping[str, list[FrozenTrial]], front: list[SizedTrial], measure: str
) -> go.Figure:
    figure, looks = styled(), looks_of(list(results.sweep.students))
    for student, trials in finished.items():
        look = looks[student]
        figure.add_scatter(
            x=[trial.user_attrs["size"][measure] for trial in trials], y=[trial.values[0] for trial in trials],
            mode="markers", name=student, customdata=[trial.number for trial in trials], showlegend=True,
            marker={"color": look.colour, "symbol": look.symbol, "size": 9, "opacity": 0.6},
            hovertemplate=f"{student} trial %{{customdata}}: %{{y:.3f}} at %{{x:,.0f}}<extra></extra>",
        )  # fmt: skip
    figure.add_scatter(
        x=[trial.size[measure] for trial in front], y=[trial.objective for trial in front], mode="lines+markers",
        name="worth their size", line={"color": INK, "width": 1.5, "shape": "hv"},
        marker={"symbol": "circle-open", "size": 15, "color": INK, "line": {"width": 1.5}}, hoverinfo="skip",
    )  # fmt: skip
    sizes = [trial.user_attrs["size"][measure] for trials in finished.values() for trial in trials]
    figure.update_xaxes(title_text=UNITS[measure])
    if max(sizes) > WIDE * min(sizes):
        ticks = [digit * 10**power for power in range(12) for digit in (1, 3)]
        figure.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{tick:,}" for tick in ticks])
    figure.update_yaxes(title_text=objective_of(results))
    return figure


def _sizes(trial: SizedTrial) -> tuple[str, str, str]:
    size = trial.size
    return f"{size['flash_kb']:,.1f}", f"{size['parameters']:,}", f"{size['macs']:,}"
