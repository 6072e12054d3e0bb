"""The detector's DET curve as a page of its own: misses against false accepts an hour."""

from math import log10

from search.evaluate.evaluation import Evaluation, Outcome
from search.plots.page import standalone
from search.plots.plot import Data, Plot, counted
from search.plots.style import looks_of, styled

# As many as can be told apart.
DRAWN = ("as recorded", "noise at 10 dB", "noise at 0 dB", "in a room")


def det_page(found: Evaluation) -> str:
    """HTML that needs no network."""
    return standalone(det_plot(found), found.model)


def det_plot(found: Evaluation) -> Plot:
    """A curve a condition, of up to four.

    Rates are on a logarithmic axis; thresholds without a false accept stand at half of one in the hours there are,
    since nothing smaller was measured.
    """
    outcomes = [outcome for outcome in found.outcomes if outcome.condition in DRAWN]
    least = 0.5 / found.hours if found.hours else 1.0
    figure = styled(420)
    looks = looks_of(list(DRAWN))
    for outcome in outcomes:
        look = looks[outcome.condition]
        points = _drawn(outcome)
        figure.add_scatter(
            x=[max(rate, least) for _, rate, _ in points], y=[missed for *_, missed in points], name=outcome.condition,
            customdata=[threshold for threshold, *_ in points], mode="lines+markers", showlegend=True,
            line={"color": look.colour, "dash": look.dash, "width": 2.5}, marker={"symbol": look.symbol, "size": 5},
            hovertemplate="threshold %{customdata:.3f}: %{x:.2f} an hour, %{y:.0%} missed",
        )  # fmt: skip
    figure.add_vline(x=found.per_hour, line_dash="dot")
    # A line knows of the logarithmic axis, what is written beside it does not.
    figure.add_annotation(x=log10(found.per_hour), y=1, yref="paper", xanchor="left", showarrow=False,
                          text=f"{found.per_hour:g} an hour")  # fmt: skip
    figure.update_xaxes(title_text="false accepts an hour", type="log")
    figure.update_yaxes(title_text="wake words missed", tickformat=".0%", rangemode="tozero")
    heard = f"{found.hours:.2f} h of recordings and {counted(found.n_words, 'wake word')} in {found.words_in}"
    return Plot(
        "det-stream",
        "DET of the detector",
        f"Both errors of the detector over its thresholds, on {heard}: lower left is better. Points without a false "
        f"accept stand at {least:.2g} an hour, half of one in that time.",
        " ".join(_told(outcome) for outcome in outcomes),
        figure,
        Data.of(
            ("condition", "threshold", "false accepts an hour", "missed"),
            [(outcome.condition, *point) for outcome in outcomes for point in _drawn(outcome)],
        ),
    )


def _drawn(outcome: Outcome) -> list[tuple[float, float, float]]:
    """(threshold, false accepts an hour, share missed) where both are known."""
    return [
        (threshold, rate, missed) for threshold, rate, missed in outcome.det if rate is not None and missed is not None
    ]


def _told(outcome: Outcome) -> str:
    operation = outcome.operation
    rate, misses = operation.false_accepts, operation.misses
    said = [f"{rate} false accepts an hour" if rate else "", f"{misses} missed" if misses else ""]
    return f"{outcome.condition}, at {operation.threshold:.3f}: {', '.join(filter(None, said))}."
