"""Starting a study from the best trials of an earlier one: of another sweep, or of another student."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import FloatDistribution, IntDistribution

from search.home import Home
from search.propose.draw import distributions_of
from search.propose.starts import enqueue
from search.propose.view import outside
from search.record.results import SweepResults
from spaces.errors import Fault, InputError
from spaces.space import ALIGNED, ALPHA, ENABLED, LAYERS, Space
from spaces.sweep import SweepConfig

TRANSFERRED = 3  # trials of a source, the best first
ATTRIBUTE = "warm_start"


@dataclass(frozen=True)
class Source:
    """The best finished trials of one student of a sweep: number to flat configuration, the best first."""

    sweep: str
    student: str
    trials: Mapping[int, Mapping[str, Any]]

    def origin(self, number: int) -> str:
        """What a transferred trial is known by."""
        return f"{self.sweep}/{self.student} {number}"


def read_sources(sweep: SweepConfig, home: Home) -> dict[str, list[Source]]:
    """Where each student of the sweep starts from, as ``search.warm_start`` asks.

    An entry that names no student gives each student its own earlier trials, or where it has none, those of the
    best student there.

    Raises:
        InputError: every entry that gives nothing, and why.
    """
    found: dict[str, list[Source]] = {student: [] for student in sweep.students}
    faults = []
    for entry in sweep.search.warm_start:
        name, _, named = entry.partition("/")
        folder = home.sweep(name)
        if not folder.exists:
            remedy = "is not recorded here; `distune list` names the sweeps that are"
            faults.append(Fault(sweep.name, "search.warm_start", entry, remedy))
            continue
        results = SweepResults.read(folder)
        sources = {student: _source_of(results, student, named) for student in sweep.students}
        given = {
            student: source
            for student, source in sources.items()
            if source and (source.sweep, source.student) != (sweep.name, student)
        }
        if not given:
            remedy = f"has no finished trial that another student could start from; {_choices(results)}"
            faults.append(Fault(sweep.name, "search.warm_start", entry, remedy))
        for student, source in given.items():
            found[student].append(source)
    if faults:
        raise InputError(faults)
    return found


def transfer(study: optuna.Study, sources: list[Source], space: Space, n_layers: int) -> list[str]:
    """Put the sources' trials in a study's queue, each once and `TRANSFERRED` a source at most.

    Returns:
        What of them the space could not take as it was, a line each.
    """
    there = {trial.user_attrs.get(ATTRIBUTE, "") for trial in study.get_trials(deepcopy=False)}
    notes = []
    for source in sources:
        # A source that has gone on since may have new best trials: what it gave stays what it gave.
        given = sum(origin.rpartition(" ")[0] == f"{source.sweep}/{source.student}" for origin in there)
        new = [number for number in source.trials if source.origin(number) not in there]
        for number in new[: TRANSFERRED - given]:
            point, told = project(source.trials[number], space, n_layers)
            enqueue(study, {source.origin(number): point}, ATTRIBUTE)
            notes += [f"warm start {source.origin(number)}: {line}" for line in told]
    return notes


def project(config: Mapping[str, Any], space: Space, n_layers: int) -> tuple[dict[str, Any], list[str]]:
    """The point of a space that is nearest to a trial's flat configuration.

    Keys that the space does not search are dropped. A number beyond its range becomes the range's end, and one off
    its grid the nearest on it; what else cannot be drawn becomes the space's default.

    Returns:
        A whole point as `optuna.Study.enqueue_trial` takes it, and what was changed, a line a key.
    """
    # A trial without distillation keeps the defaults of what it does not use.
    taught: dict[str, Any] = {} if config[ENABLED] else {ALPHA: 0.0, ALIGNED: False}
    distributions, point, notes = distributions_of(space, n_layers), {}, []
    for key, parameter in space.parameters.items():
        value = nearest = {**config, **taught}[key]
        if isinstance(distribution := distributions.get(key), FloatDistribution | IntDistribution):
            nearest = _nearest(distribution, value)
        elif not parameter.holds(value) or (key == LAYERS and max(value) >= n_layers):
            nearest = parameter.default
        point[key] = nearest
        if nearest != value and parameter.applies({**space.fixed, **point}):
            notes.append(f"{key} = {value!r} is not in this student's space; it starts from {nearest!r}")
    whole = space.model_copy(update={"known_points": {"": point}}).enqueued(n_layers)[""]
    assert not outside(whole, distributions)
    return whole, notes


def _nearest(distribution: FloatDistribution | IntDistribution, value: float) -> float:
    nearest = value
    if distribution.step is not None:
        nearest = distribution.low + round((value - distribution.low) / distribution.step) * distribution.step
    nearest = min(distribution.high, max(distribution.low, nearest))
    # 0.05 * 6 is 0.30000000000000004, which is no change.
    return value if math.isclose(nearest, value) else nearest


def _source_of(results: SweepResults, student: str, named: str) -> Source | None:
    """The trials of the student that is named, else of the same student, else of the best."""
    winner = results.winner()
    if winner is None:
        return None
    chosen = named or (student if results.best(student) else winner.student)
    trials = results.finished(chosen)[:TRANSFERRED]
    return Source(results.sweep.name, chosen, {t.number: t.user_attrs["config"] for t in trials}) if trials else None


def _choices(results: SweepResults) -> str:
    """The students of a sweep that another could start from, for people."""
    ready = [student for student in results.sweep.students if results.best(student)]
    name = results.sweep.name
    return f"name {' or '.join(f'{name}/{student}' for student in ready)}" if ready else "let it run first"
