"""Plots in a page of HTML that needs no network: plotly.js packed into it once, figures as data beside it.

The scripts draw each figure into the element that holds its data, in the light or the dark as the page is shown, and
again when that changes.
"""

import base64
import gzip
import json
from functools import cache
from html import escape
from importlib import resources
from typing import Any

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from search.plots.plot import Plot
from search.plots.style import CONFIG, DARK, FONT, INK, PAPER

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
body {{ margin: 1rem; font: 16px/1.5 {font}; color: {ink}; background: {paper} }}
h1 {{ font-size: 1.25rem; margin: 0 0 .25rem }}
p {{ max-width: 70ch; margin: 0 0 .75rem }}
@media (prefers-color-scheme: dark) {{ body {{ color: {dark_ink}; background: {dark_paper} }} }}
</style>
<h1>{heading}</h1>
<p>{reading}</p>
{figure}
{scripts}
</html>
"""


def standalone(plot: Plot, of: str) -> str:
    """A page of one plot.

    Args:
        of: whose plot it is, e.g. ``hey-sirius, tiny_conv``.
    """
    return PAGE.format(
        title=escape(f"{plot.title}: {of}"),
        heading=escape(f"{plot.title}: {of}"),
        reading=escape(plot.reading),
        figure=embedded(plot, plot.name),
        scripts=scripts(with_buttons=True),
        font=FONT,
        ink=INK,
        paper=PAPER,
        dark_ink=DARK[INK],
        dark_paper=DARK[PAPER],
    )


def embedded(plot: Plot, key: str) -> Markup:
    """The element that a plot is drawn into, with its data; to those who do not see it, its words.

    Args:
        key: of the element, once in a page.
    """
    height = f"min-height:{plot.figure.layout.height}px"
    return Markup(
        f'<div class="plot" id="{escape(key)}" role="img" aria-label="{escape(plot.told)}" style="{height}">'
        f'<script type="application/json">{as_script(plot.figure.to_plotly_json())}</script></div>'
    )


def scripts(with_buttons: bool = False) -> Markup:
    """plotly.js, packed, and what unpacks it and draws; once in a page, at its end.

    Args:
        with_buttons: to zoom, and to save a picture.
    """
    code = resources.files("search.plots").joinpath("draw.js").read_text(encoding="utf-8")
    settings = as_script({"dark": DARK, "config": CONFIG | {"displayModeBar": with_buttons}})
    return Markup(
        f'<script type="application/octet-stream" id="plotly">{packed_plotly()}</script>\n'
        f'<script type="application/json" id="plot-settings">{settings}</script>\n'
        f"<script>\n{code}</script>"
    )


def as_script(value: Any) -> str:
    """JSON that no script element ends within, whatever its strings hold."""
    from plotly.utils import PlotlyJSONEncoder

    text = json.dumps(value, cls=PlotlyJSONEncoder)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def packed_plotly() -> str:
    """plotly.js, compressed to a third, in base64."""
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()
