"""A plot as it is handed on: the figure, what it says in words, and the numbers behind it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from search.record.results import SweepResults

MOST_ROWS = 100


@dataclass(frozen=True)
class Data:
    """The numbers behind a plot, each already as people read it.

    Attributes:
        left_out: rows that would make the table too long.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0

    @classmethod
    def of(cls, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> "Data":
        """The first 100 rows; numbers are told to three digits after the point."""
        told = tuple(tuple(map(said, row)) for row in rows)
        return cls(tuple(columns), told[:MOST_ROWS], max(0, len(told) - MOST_ROWS))


@dataclass(frozen=True)
class Plot:
    """One plot.

    Attributes:
        name: of its files, e.g. ``learning-curves``.
        title: as a heading has it.
        reading: how it is to be read, a sentence or two.
        told: what it shows, in words, for those who do not see it.
        figure: without a title.
        data: see :class:`Data`.
    """

    name: str
    title: str
    reading: str
    told: str
    figure: go.Figure
    data: Data


def said(value: Any) -> str:
    """A value as a table shows it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return short(value) if abs(value) >= 100 or 0 < abs(value) < 0.001 else f"{value:.3f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(said, value)) or "none"
    return str(value)


def short(value: float) -> str:
    """A setting or a bound: three digits, and no more than it needs."""
    return f"{value:.3g}"


def objective_of(results: SweepResults) -> str:
    """What the axis of the objective is called, e.g. ``validation pAUC``."""
    return spelt(results.sweep.objective.metric)


def spelt(metric: str) -> str:
    """A metric as people write it: ``test_pauc`` is ``test pAUC``."""
    split, _, name = metric.partition("_")
    names = {"pauc": "pAUC", "auc": "AUC", "f1": "F1", "eer": "EER", "frr_at_fpr": "FRR at FPR",
             "frr_at_fah": "FRR at false accepts an hour", "fpr": "FPR", "fnr": "FNR",
             "stream_frr_at_fah": "FRR at false accepts an hour of the stream"}  # fmt: skip
    splits = {"val": "validation", "test": "test", "train": "training"}
    return f"{splits.get(split, split)} {names.get(name, name)}"


def counted(n: int, noun: str) -> str:
    """``1 seed``, ``2 seeds``, ``1,000 trials``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
