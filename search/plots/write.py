"""Writing a student's plots as files, for MLflow and whoever else keeps them: each as HTML and as PNG."""

import copy
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import kaleido
import plotly.graph_objects as go
from choreographer.errors import BrowserClosedError, BrowserFailedError, ChromeNotFoundError

from search.home import SweepFolder
from search.insight.student import insight_of
from search.plots.all import compared, of_student
from search.plots.page import standalone
from search.plots.plot import Plot
from search.plots.style import INK, PAPER
from search.record.results import SweepResults

log = logging.getLogger(__name__)

WIDTH, TITLE_HEIGHT, SCALE = 900, 80, 2
ARTIFACTS = "plots"


def write(results: SweepResults, folder: SweepFolder, student: str, into: Path) -> dict[str, Path]:
    """Write every plot of a student.

    Where no Chrome or Chromium is installed, or it does not answer, the pictures are left out, which is logged.

    Args:
        folder: of the sweep, for the scores of confirmed runs.
        into: a folder that is there.

    Returns:
        Artifact path, such as ``plots/history.html``, to file.
    """
    plots = [*compared(results, folder, [student]), *of_student(results, insight_of(results, student))]
    of = f"{results.sweep.name}, {student}"
    files: dict[str, Path] = {}
    for plot in plots:
        file = into / f"{plot.name}.html"
        file.write_text(standalone(plot, of), encoding="utf-8")
        files[f"{ARTIFACTS}/{file.name}"] = file
    pictures = {plot.name: into / f"{plot.name}.png" for plot in plots}
    if write_pictures(plots, of, list(pictures.values())):
        files |= {f"{ARTIFACTS}/{file.name}": file for file in pictures.values()}
    return files


def write_pictures(plots: Sequence[Plot], of: str, files: Sequence[Path]) -> bool:
    """Write each plot as a PNG, all by one browser; whether there was one."""
    if not plots:
        return True
    jobs: list[dict[str, Any]] = [
        {"fig": picture(plot, of), "path": str(file), "opts": {"format": "png", "width": WIDTH, "scale": SCALE}}
        for plot, file in zip(plots, files, strict=True)
    ]
    try:
        # Without MathJax, which it would fetch from the network.
        failed = kaleido.write_fig_from_object_sync(jobs, kopts={"mathjax": False})
    except ChromeNotFoundError:
        log.info("plots are written as HTML alone: pictures of them need Chrome or Chromium, and none is installed")
        return False
    except (BrowserFailedError, BrowserClosedError, TimeoutError) as error:
        log.warning("plots are written as HTML alone: the browser that draws pictures of them failed: %s", error)
        return False
    for failure in failed or ():
        log.warning("a picture of a plot could not be drawn: %s", failure)
    return all(file.exists() for file in files)


def picture(plot: Plot, of: str) -> go.Figure:
    """The figure as it stands alone: titled, on white."""
    figure = copy.deepcopy(plot.figure)
    title = {"text": f"<b>{plot.title}</b>  {of}", "x": 0, "xanchor": "left", "xref": "paper", "yref": "container",
             "y": 1, "yanchor": "top", "pad": {"t": 14}, "font": {"size": 16, "color": INK}}  # fmt: skip
    figure.update_layout(
        title=title, paper_bgcolor=PAPER, plot_bgcolor=PAPER, height=figure.layout.height + TITLE_HEIGHT,
        margin={"t": TITLE_HEIGHT, "l": 24, "r": 24, "b": 24},
    )  # fmt: skip
    return figure
