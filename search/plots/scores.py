"""ROC and DET of the confirmed winners, from the scores that their best runs kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import roc_curve

from search.home import SweepFolder
from search.plots.plot import Data, Plot
from search.plots.style import FAINT, MUTED, looks_of, styled
from search.record.results import SweepResults
from trainables.metrics import PAUC_FPR, Roc, equal_error_rate, false_rejection_rate, partial_auc

READ_AT = (0.001, 0.01, 0.05, 0.1)
"""False positive rates at which the table is read."""
DET_TICKS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4)
SPLITS = {"test": "test", "val": "validation"}


@dataclass(frozen=True)
class Scored:
    """What a confirmed winner's best run makes of a split: its ROC and the number of clips of either class."""

    student: str
    split: str
    roc: Roc
    n_positive: int
    n_negative: int


def read_scores(files: Mapping[str, Path]) -> list[Scored]:
    """The splits of each student's scores, where there are any.

    Args:
        files: student to the ``scores.npz`` of its winner's best run.
    """
    found = []
    for student, file in files.items():
        with np.load(file, allow_pickle=False) as arrays:
            for split in SPLITS:
                scores, truth = arrays[f"{split}_scores"], arrays[f"{split}_labels"].astype(bool)
                n_positive = int(truth.sum())
                curve = Roc(*roc_curve(truth, scores)[:2])
                found.append(Scored(student, split, curve, n_positive, len(truth) - n_positive))
    return found


def roc(results: SweepResults, scored: Sequence[Scored]) -> Plot | None:
    """True against false positives; ``None`` where no scores are kept."""
    if not scored:
        return None
    figure = styled(420)
    strip = {"text": "pAUC", "font": {"color": MUTED}}
    figure.add_vrect(0, PAUC_FPR, fillcolor=FAINT, opacity=0.45, line_width=0, layer="below", annotation=strip,
                     annotation_position="bottom right")  # fmt: skip
    for one in _tested(scored):
        _add(figure, results, one, one.roc.fpr, one.roc.tpr)
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": MUTED, "width": 1, "dash": "dot"},
                       name="chance", hoverinfo="skip")  # fmt: skip
    figure.update_xaxes(title_text="false positives", tickformat=".0%", range=[-0.02, 1.02])
    figure.update_yaxes(title_text="wake words found", tickformat=".0%", range=[-0.02, 1.02])
    return Plot(
        "roc",
        "ROC of the confirmed",
        "The share of wake words found against the share of other clips taken for one, on the test clips over all "
        "thresholds; the shaded strip is what pAUC measures.",
        _told(scored, lambda one: f"pAUC {partial_auc(one.roc, PAUC_FPR):.3f}"),
        figure,
        _data(scored),
    )


def det(results: SweepResults, scored: Sequence[Scored]) -> Plot | None:
    """Misses against false positives, both as normal deviates (Martin et al. 1997); ``None`` as for :func:`roc`."""
    if not scored:
        return None
    figure = styled(420)
    for one in _tested(scored):
        # Nearer to 0 than half a clip nothing was measured.
        fpr = np.clip(one.roc.fpr, 0.5 / one.n_negative, 1 - 0.5 / one.n_negative)
        fnr = np.clip(1 - one.roc.tpr, 0.5 / one.n_positive, 1 - 0.5 / one.n_positive)
        _add(figure, results, one, norm.ppf(fpr), norm.ppf(fnr))
    axis = {"tickvals": norm.ppf(DET_TICKS).tolist(), "ticktext": [f"{100 * rate:g} %" for rate in DET_TICKS],
            "range": norm.ppf([0.0008, 0.6]).tolist(), "zeroline": False, "tickangle": 0}  # fmt: skip
    figure.update_xaxes(title_text="false positives", **axis)
    figure.update_yaxes(title_text="wake words missed", **axis)
    return Plot(
        "det",
        "DET of the confirmed",
        "Both kinds of error on the test clips, on normal-deviate axes: lower left is better, and scores that are "
        "normally distributed give a straight line. A curve ends where the clips are too few to measure.",
        _told(scored, lambda one: f"equal error rate {equal_error_rate(one.roc):.1%}"),
        figure,
        _data(scored),
    )


def _tested(scored: Sequence[Scored]) -> list[Scored]:
    """Those that are drawn: on test clips, which no choice was made by; the table has validation too."""
    return [one for one in scored if one.split == "test"]


def _add(figure: go.Figure, results: SweepResults, one: Scored, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    look = looks_of(list(results.sweep.students))[one.student]
    figure.add_scatter(
        x=x.tolist(), y=y.tolist(), mode="lines", name=one.student, showlegend=True,
        line={"color": look.colour, "dash": look.dash, "width": 2.5}, hoverinfo="name",
    )  # fmt: skip


def _told(scored: Sequence[Scored], measure: Callable[[Scored], str]) -> str:
    return " ".join(f"{one.student}, {SPLITS[one.split]}: {measure(one)}." for one in scored)


def _data(scored: Sequence[Scored]) -> Data:
    columns = (
        "student",
        "clips of",
        "wake words",
        "others",
        "pAUC",
        "EER",
        *(f"missed at {rate:.1%} FPR" for rate in READ_AT),
    )
    return Data.of(
        columns,
        [
            (one.student, SPLITS[one.split], one.n_positive, one.n_negative, partial_auc(one.roc, PAUC_FPR),
             f"{equal_error_rate(one.roc):.1%}", *(f"{false_rejection_rate(one.roc, rate):.1%}" for rate in READ_AT))
            for one in scored
        ],
    )  # fmt: skip


def scores_files(results: SweepResults, folder: SweepFolder, students: Sequence[str]) -> dict[str, Path]:
    """Student to the scores of its confirmed winner's best run by validation, where they are kept."""
    found = {}
    for student in students:
        confirmed = results.confirmed.get(student)
        if confirmed is None or confirmed.winner is None:
            continue
        seed = confirmed.best_seed(confirmed.winner)
        file = folder.confirmed_run(student, confirmed.winner.numbers[seed]) / "scores.npz"
        if file.is_file():
            found[student] = file
    return found
