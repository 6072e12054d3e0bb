"""Which plots there are: of the students side by side, and of one student."""

from collections.abc import Sequence

from search.home import SweepFolder
from search.insight.student import Insight
from search.plots.alpha_temperature import alpha_temperature
from search.plots.coordinates import coordinates
from search.plots.curves import curves
from search.plots.gain import gain
from search.plots.history import history
from search.plots.importance import importance
from search.plots.layers import layers
from search.plots.plot import Plot, objective_of
from search.plots.scores import det, read_scores, roc, scores_files
from search.plots.size import size
from search.record.results import SweepResults


def compared(results: SweepResults, folder: SweepFolder, students: Sequence[str]) -> list[Plot]:
    """What students have side by side, or one has beside the others; plots without anything to show are left out."""
    scored = read_scores(scores_files(results, folder, students))
    found = [
        gain(results, students),
        history(results, students),
        size(results),
        roc(results, scored),
        det(results, scored),
    ]
    return [plot for plot in found if plot]


def of_student(results: SweepResults, insight: Insight) -> list[Plot]:
    """What one student has for itself."""
    student, objective = insight.student, objective_of(results)
    found = [
        importance(insight),
        curves(results, student),
        coordinates(results, student),
        alpha_temperature(insight, objective),
        layers(insight, objective),
    ]
    return [plot for plot in found if plot]
