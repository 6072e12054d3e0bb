"""Which parameters told the better half of the trials from the worse."""

from typing import Any

from search.insight.comparison import FEWEST_TRIALS
from search.insight.student import Insight
from search.plots.plot import Data, Plot, short
from search.plots.style import BLUE, MUTED, styled

ROW = 38  # pixels


def importance(insight: Insight) -> Plot | None:
    """A bar a parameter; ``None`` where trials are too few, all equal, or drew nothing."""
    found = insight.importances
    if not found:
        return None
    figure = styled(60 + ROW * len(found))
    for told, words, colour in ((True, "more than chance", BLUE), (False, "as chance would have it", MUTED)):
        rows = [one for one in found if one.told_from_chance == told]
        figure.add_bar(
            x=[one.share for one in rows], y=[one.key for one in rows], orientation="h", name=words, showlegend=True,
            marker={"color": colour, "opacity": 1 if told else 0.45,
                    "pattern": {"shape": "" if told else "/", "fgcolor": colour}, "line": {"width": 0}},
            hovertemplate=f"%{{y}}: %{{x:.0%}}, {words}<extra></extra>", width=0.42,
        )  # fmt: skip
    for one in found:
        # Above its bar: long keys beside the bars would leave a phone no room for these.
        figure.add_annotation(
            x=0, y=one.key, text=f"{one.key}  {one.share:.0%}", showarrow=False, xanchor="left", yshift=17,
            font={"size": 12},
        )  # fmt: skip
    figure.update_yaxes(showticklabels=False, categoryorder="array", categoryarray=[one.key for one in reversed(found)],
                        range=[-0.6, len(found) - 0.1])  # fmt: skip
    figure.update_xaxes(tickformat=".0%", title_text="share of what is explained", rangemode="tozero")
    figure.update_layout(barmode="overlay")
    n, epoch = len(insight.compared.trials), insight.compared.epoch
    return Plot(
        "importance",
        "What mattered",
        f"How differently a parameter is distributed in the better half of {n} trials at epoch {epoch} (PED-ANOVA). "
        "Hatched bars are what shuffled values would give as well.",
        _told(insight),
        figure,
        Data.of(
            ("parameter", "share", "more than chance", "in the better half", "in the worse half"),
            [(one.key, f"{one.share:.0%}", one.told_from_chance, value(one.better), value(one.worse)) for one in found],
        ),
    )


def _told(insight: Insight) -> str:
    told = [
        f"{one.key} {one.share:.0%} (better half {value(one.better)}, worse half {value(one.worse)})"
        for one in insight.importances
        if one.told_from_chance
    ]
    n_others = len(insight.importances) - len(told)
    if not told:
        return f"None of {n_others} parameters can be told from chance."
    return f"{', '.join(told)}; {n_others} others cannot be told from chance."


def untold(insight: Insight) -> str:
    """Why there is no plot of what mattered."""
    n = len(insight.compared.trials)
    if insight.compared.too_few:
        return f"Too few trials to tell what mattered: {n} of {FEWEST_TRIALS}."
    return "What mattered cannot be told: all trials are alike."


def value(drawn: Any) -> str:
    """A drawn value as people write it."""
    return "–" if drawn is None else short(drawn) if isinstance(drawn, float) else str(drawn).lower()
