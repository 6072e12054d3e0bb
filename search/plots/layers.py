"""What aligning each teacher layer adds."""

from search.insight.student import Insight
from search.plots.plot import Data, Plot
from search.plots.style import BLUE, MUTED, rule, styled


def layers(insight: Insight, objective: str) -> Plot | None:
    """An effect a layer with its interval; ``None`` where the trials can tell of none."""
    found = [(one.layer, one.n_trials, one.effect) for one in insight.layers if one.effect]
    if not found:
        return None
    figure = styled(320)
    rule(figure, 0, "")
    for beyond, words, symbol, colour in (
        (True, "more than chance", "circle", BLUE),
        (False, "cannot be told from chance", "circle-open", MUTED),
    ):
        rows = [(layer, effect) for layer, _, effect in found if effect.told_from_chance == beyond]
        figure.add_scatter(
            x=[str(layer) for layer, _ in rows], y=[effect.mean for _, effect in rows], mode="markers", name=words,
            error_y={"type": "data", "symmetric": False, "array": [effect.high - effect.mean for _, effect in rows],
                     "arrayminus": [effect.mean - effect.low for _, effect in rows], "color": colour, "thickness": 1.5},
            marker={"symbol": symbol, "color": colour, "size": 10}, showlegend=True,
            hovertemplate="layer %{x}: %{y:+.3f}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text="teacher layer", type="category", categoryorder="array",
                        categoryarray=[str(layer) for layer, _, _ in found])  # fmt: skip
    figure.update_yaxes(title_text=f"added {objective}", tickformat="+.2f")
    told = [
        f"layer {layer} {e.mean:+.3f} ({e.low:+.3f} to {e.high:+.3f})" for layer, _, e in found if e.told_from_chance
    ]
    n_others = len(found) - len(told)
    others = f"{n_others} {'other ' if told else ''}layers cannot be told from chance."
    return Plot(
        "layers",
        "Which teacher layers helped",
        f"What aligning a layer adds to {objective} at epoch {insight.compared.epoch}, all else held, with intervals "
        "that hold together in 95 % of cases.",
        (f"{', '.join(told)}. " if told else "") + (others if n_others else ""),
        figure,
        Data.of(
            ("layer", "trials", "effect", "from", "to"),
            [(layer, n, f"{e.mean:+.3f}", f"{e.low:+.3f}", f"{e.high:+.3f}") for layer, n, e in found],
        ),
    )
