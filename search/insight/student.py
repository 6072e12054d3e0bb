"""All that a sweep teaches of one student."""

from dataclasses import dataclass

from search.insight.agreement import Agreement, agreements, final_values
from search.insight.alpha_temperature import AlphaTemperature, alpha_temperature
from search.insight.comparison import Comparison, compare
from search.insight.importance import Importance, importances
from search.insight.layers import LayerEffect, layer_effects
from search.record.results import SweepResults


@dataclass(frozen=True)
class Insight:
    """What mattered to a student, as far as its trials can tell.

    Attributes:
        compared: the trials behind importances, layers and alpha x temperature, at equal epochs.
        agreements: of the rungs with the trials' own ends.
        confirmed: of the rungs with the means over seeds of the trials that were confirmed.
    """

    student: str
    compared: Comparison
    importances: tuple[Importance, ...]
    alpha_temperature: AlphaTemperature
    layers: tuple[LayerEffect, ...]
    agreements: tuple[Agreement, ...]
    confirmed: tuple[Agreement, ...]


def insight_of(results: SweepResults, student: str) -> Insight:
    """From the record of a sweep, running or not."""
    trials, maximise = results.trials.get(student, []), results.sweep.objective.mode == "max"
    compared = compare(trials, maximise)
    return Insight(
        student,
        compared,
        importances(compared),
        alpha_temperature(compared),
        layer_effects(compared),
        agreements(trials, final_values(trials, maximise)),
        agreements(trials, _confirmed_values(results, student)),
    )


def _confirmed_values(results: SweepResults, student: str) -> dict[int, float]:
    """Number of each confirmed trial to its mean objective over seeds."""
    found = results.confirmed.get(student)
    if found is None or not found.seeds:
        return {}
    candidates = [(arm.trial_number, arm) for arm in found.arms if arm.kind == "candidate" and arm.runs]
    metric = found.objective.metric
    return {number: found.spread(arm, metric).mean for number, arm in candidates if number is not None}
