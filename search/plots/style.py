"""How all plots look: colours that the colour-blind tell apart, marks, type, and what becomes of them in the dark.

Colours are those of Okabe and Ito (2008, https://jfly.uni-koeln.de/color/), the ones that stand out from white by 3:1
or nearly so; no meaning is told by colour alone: students also differ by mark and dash, states by mark.
"""

from typing import Any, NamedTuple

import plotly.graph_objects as go

INK, MUTED, FAINT, PAPER = "#1b1f24", "#59636e", "#d5dade", "#ffffff"
BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#A8558A"
DARK = {INK: "#e6e8eb", MUTED: "#9fa8b2", FAINT: "#39414a", PAPER: "#14181d",
        BLUE: "#56B4E9", VERMILLION: "#F0A04B", GREEN: "#2FC49A", PURPLE: "#E0A0C8"}  # fmt: skip
"""Each colour to what stands for it where the page is dark, lighter ones of the same kinds."""
SCALE = "Cividis"
"""Of quantities: evenly brighter to every kind of eye."""
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", "DejaVu Sans", sans-serif'
FONT_SIZE = 13
HEIGHT = 380  # pixels
CONFIG = {"responsive": True, "displaylogo": False, "displayModeBar": False}
"""Without buttons: on a page with many plots they are a hundred stops of the Tab key."""


class Look(NamedTuple):
    """What tells one thing from others: by colour, by mark, by dash."""

    colour: str
    symbol: str
    dash: str


LOOKS = (
    Look(BLUE, "circle", "solid"),
    Look(VERMILLION, "square", "dash"),
    Look(GREEN, "triangle-up", "dot"),
    Look(PURPLE, "diamond", "dashdot"),
)


def looks_of(names: list[str]) -> dict[str, Look]:
    """A look a name, in order; after four they begin again."""
    return {name: LOOKS[i % len(LOOKS)] for i, name in enumerate(names)}


def styled(height: int = HEIGHT) -> go.Figure:
    """A figure without traces, in the common style; its background is the page's."""
    axis = {
        "gridcolor": FAINT, "zerolinecolor": FAINT, "linecolor": MUTED, "tickcolor": MUTED, "automargin": True,
        "title": {"standoff": 8, "font": {"color": MUTED}}, "tickfont": {"color": MUTED},
    }  # fmt: skip
    template = go.layout.Template(
        layout={
            "font": {"family": FONT, "size": FONT_SIZE, "color": INK},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {"font": {"family": FONT, "color": INK}, "bgcolor": PAPER, "bordercolor": MUTED},
            "legend": {
                "orientation": "h",
                "x": 0,
                "y": 1 + 8 / height,
                "yanchor": "bottom",
                "bgcolor": "rgba(0,0,0,0)",
                "font": {"color": MUTED},
            },
            "hovermode": "closest",
            "dragmode": False,
        }
    )
    return go.Figure(layout={"template": template, "height": height})


def rule(figure: go.Figure, value: float, told: str, dash: str = "dot", across: bool = True) -> None:
    """A thin line at ``value`` with a few words at its end; ``across`` draws it from left to right."""
    place: dict[str, Any] = {"annotation_text": told, "annotation_font": {"size": 12, "color": MUTED}}
    line = {"color": MUTED, "width": 1, "dash": dash}
    if across:
        figure.add_hline(value, line=line, annotation_position="bottom right", **place)
    else:
        figure.add_vline(value, line=line, annotation_position="top right", **place)
