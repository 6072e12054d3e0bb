"""How the objective depends on alpha and temperature together."""

from itertools import pairwise

from search.insight.alpha_temperature import ALPHA_EDGES, TEMPERATURE_EDGES, AlphaTemperature, Bin
from search.insight.student import Insight
from search.plots.plot import Data, Plot
from search.plots.style import MUTED, SCALE, styled


def alpha_temperature(insight: Insight, objective: str) -> Plot | None:
    """A heat map of means; ``None`` where no logits taught a trial.

    Args:
        objective: what the values are, in words.
    """
    grid = insight.alpha_temperature
    if not grid.cells:
        return None
    alphas, temperatures = _bins(ALPHA_EDGES), _bins(TEMPERATURE_EDGES)
    found = {(cell.alpha, cell.temperature): cell for cell in grid.cells}
    cells = [[found.get((alpha, temperature)) for temperature in temperatures] for alpha in alphas]
    figure = styled(340)
    figure.add_heatmap(
        x=[_words(bin) for bin in temperatures], y=[_words(bin) for bin in alphas],
        z=[[cell.mean if cell else None for cell in row] for row in cells],
        text=[[f"{cell.mean:.3f}<br>n={cell.n_trials}" if cell else "" for cell in row] for row in cells],
        texttemplate="%{text}", colorscale=SCALE, xgap=3, ygap=3, showscale=False, hoverongaps=False,
        hovertemplate="alpha %{y}, temperature %{x}: %{z:.3f}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title_text="temperature", showgrid=False, type="category")
    figure.update_yaxes(title_text="alpha", showgrid=False, type="category")
    if not insight.compared.too_few and grid.mean_without is not None:
        figure.add_annotation(
            x=0, y=1.02, xref="paper", yref="paper", xanchor="left", yanchor="bottom", showarrow=False,
            text=f"without logits {grid.mean_without:.3f}, n={grid.n_without}", font={"color": MUTED},
        )  # fmt: skip
    chance = "" if grid.told_from_chance else " These differences cannot be told from chance."
    rows = [(_words(cell.alpha), _words(cell.temperature), cell.n_trials, cell.mean) for cell in grid.cells]
    return Plot(
        "alpha-temperature",
        "Alpha against temperature",
        f"The mean {objective} at epoch {insight.compared.epoch} of the trials that learnt from logits, less what "
        f"other parameters explain; brighter is greater, empty cells hold no trial.{chance}",
        _told(grid) + chance,
        figure,
        Data.of(("alpha", "temperature", "trials", f"mean {objective}"), rows),
    )


def _told(grid: AlphaTemperature) -> str:
    lowest, highest = (choose(grid.cells, key=lambda cell: cell.mean) for choose in (min, max))
    told = [
        f"{word} {cell.mean:.3f} at alpha {_words(cell.alpha)}, temperature {_words(cell.temperature)}."
        for word, cell in (("Lowest", lowest), ("Highest", highest))
    ]
    without = [] if grid.mean_without is None else [f"Without logits {grid.mean_without:.3f} (n={grid.n_without})."]
    return " ".join([*told, *without])


def _bins(edges: tuple[float, ...]) -> list[Bin]:
    return [Bin(*edge) for edge in pairwise(edges)]


def _words(bin: Bin) -> str:
    return f"{bin.low:g}–{bin.high:g}"
