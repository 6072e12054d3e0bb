"""What the confirmed winners gain over their baselines."""

from collections.abc import Sequence

import plotly.graph_objects as go

from search.confirm.statistics import Gain
from search.plots.plot import Data, Plot, spelt
from search.plots.style import BLUE, PAPER, VERMILLION, Look, rule, styled
from search.record.results import SweepResults

OVER = {
    "no_distillation": ("no distillation", Look(BLUE, "circle", "solid")),
    "logits_only": ("logits only", Look(VERMILLION, "square", "dash")),
}


def test_metric(results: SweepResults) -> str:
    """The objective on the test clips, which no choice was made by."""
    return results.sweep.objective.test_metric


def gains(results: SweepResults, students: Sequence[str]) -> dict[tuple[str, str], Gain]:
    """(student, kind of baseline) to what its confirmed winner gains on the test clips."""
    return {
        (student, kind): found.gain(found.winner, over, test_metric(results))
        for student in students
        if (found := results.confirmed.get(student)) and found.winner
        for kind, over in found.comparable(found.winner).items()
    }


def gain(results: SweepResults, students: Sequence[str]) -> Plot | None:
    """A forest plot, a row a student and baseline; ``None`` where nothing is confirmed."""
    found = gains(results, students)
    if not found:
        return None
    rows = [(f"{student} over {OVER[kind][0]}", OVER[kind][1], one) for (student, kind), one in found.items()]
    return Plot(
        "gain",
        "What distillation gained",
        "The confirmed winner less its baseline, on the same seeds and the test clips, with 95 % intervals. Filled "
        "marks are told from chance, open ones are not; right of the line is better.",
        " ".join(f"{words}: {told_gain(one)}." for words, _, one in rows),
        _drawn(rows, spelt(test_metric(results))),
        Data.of(
            ("winner over baseline", "gain", "from", "to", "seeds", "told from chance"),
            [(words, f"{g.mean:+.3f}", g.low, g.high, g.n, g.told_from_chance) for words, _, g in rows],
        ),
    )


def _drawn(rows: list[tuple[str, Look, Gain]], metric: str) -> go.Figure:
    figure = styled(90 + 48 * len(rows))
    rule(figure, 0, "no gain", across=False)
    for words, look, one in rows:
        low, high = (one.mean if end is None else end for end in (one.low, one.high))
        figure.add_scatter(
            x=[one.mean], y=[words], mode="markers", showlegend=False,
            marker={"color": look.colour, "size": 11, "symbol": look.symbol + ("" if one.told_from_chance else "-open"),
                    "line": {"width": 2, "color": look.colour}},
            error_x={"type": "data", "symmetric": False, "array": [high - one.mean], "arrayminus": [one.mean - low],
                     "color": look.colour, "thickness": 2, "width": 5},
            hovertemplate=f"{words}: {told_gain(one)}<extra></extra>",
        )  # fmt: skip
        figure.add_annotation(
            x=0, xref="paper", y=words, text=f"{words}  {one.mean:+.3f}", showarrow=False, xanchor="left", yshift=17,
            font={"size": 12}, bgcolor=PAPER,
        )  # fmt: skip
    names = [words for words, _, _ in reversed(rows)]
    figure.update_yaxes(showticklabels=False, categoryorder="array", categoryarray=names, range=[-0.5, len(rows) + 0.2])
    figure.update_xaxes(
        title_text=f"gain in {metric}",
        tickformat="+.2f",
        range=_room([end for _, _, one in rows for end in (one.mean, one.low, one.high) if end is not None]),
    )
    return figure


def told_gain(one: Gain) -> str:
    """A gain in words."""
    if one.low is None or one.high is None:
        return f"{one.mean:+.3f} with one seed, of which there is no interval"
    return f"{one.mean:+.3f} (95 % interval {one.low:+.3f} to {one.high:+.3f}, {one.n} seeds)"


def _room(values: list[float]) -> list[float]:
    """A range that holds the values and zero, with some room at both ends."""
    low, high = min(0.0, *values), max(0.0, *values)
    room = 0.08 * (high - low) or 0.01
    return [low - room, high + room]
