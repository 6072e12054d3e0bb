"""All that a report says, put together from a sweep's record; how it looks is for `html` and `markdown`."""

from collections import Counter
from dataclasses import dataclass, replace

import yaml

from search.export import export_yaml
from search.home import SweepFolder
from search.insight.alarms import Alarm, alarms
from search.insight.student import insight_of
from search.plots.all import compared, of_student
from search.plots.gain import gains, test_metric
from search.plots.importance import untold
from search.plots.plot import Data, Plot, counted, spelt
from search.record.results import SweepResults
from search.report import tables
from search.report.standing import Standing, standing_of
from search.report.verdict import Verdict, verdict_of
from search.screen.confirm import sentences
from spaces.errors import Fault, InputError
from spaces.secrets import without_password
from spaces.sections import Tracking

TERMS = [
    ("pAUC", "the area under the ROC curve up to 10 % false positives, divided by 0.1: chance is 0.05, 1 is perfect"),
    ("F1", "the harmonic mean of precision and recall at threshold 0.5; 1 is perfect"),
    ("mean ± sd", "over seeds: how much luck of initial weights and shuffling moves a value"),
    ("95 % interval", "of a gain, over paired seeds: where it holds zero, the gain cannot be told from chance"),
    ("no distillation", "the same student trained on labels alone, at a learning rate of its own"),
    ("logits only", "the same student taught by the teacher's answers, without aligned layers"),
    ("alpha, temperature", "the weight of the teacher's answers in the loss, and how much they are softened"),
    ("alignment", "making the student's features resemble those of some of the teacher's layers"),
    ("rung", "an epoch at which early stopping ends the trials that fall behind"),
]


@dataclass(frozen=True)
class StudentPart:
    """What is said of one student.

    Attributes:
        told: sentences on confirming.
        untold: why there is no plot of what mattered, where there is none.
        yaml: its best configuration as the platform loads it; ``None`` before a trial has finished.
    """

    student: str
    verdict: Verdict
    told: tuple[str, ...]
    arms: Data | None
    space: Data
    plots: tuple[Plot, ...]
    untold: str | None
    yaml: str | None


@dataclass(frozen=True)
class Report:
    """What a report says; see the attributes' own classes."""

    name: str
    standing: Standing
    answer: str
    overview: Data
    plots: tuple[Plot, ...]
    students: tuple[StudentPart, ...]
    alarms: tuple[Alarm, ...]
    searched: tables.Rows
    spent: tables.Rows
    failures: Data
    commands: tuple[str, ...]
    provenance: tables.Rows
    sweep_file: str
    terms: tables.Rows


def report_of(folder: SweepFolder) -> Report:
    """The report of a recorded sweep, running, broken or done.

    Raises:
        InputError: there is no such sweep, or what its trials share is lost.
    """
    if folder.exists and not folder.facts_file.is_file():
        remedy = "is missing, which says what the sweep's trials share; run the sweep again to have it written"
        raise InputError(Fault(str(folder.facts_file), "", None, remedy))
    results = _without_password(SweepResults.read(folder))
    found = tuple(alarms(results)) if any(results.trials.values()) else ()
    parts = tuple(_part(results, student, found) for student in results.sweep.students)
    return Report(
        name=results.sweep.name,
        standing=standing_of(results, folder),
        answer=_answer(results, parts),
        overview=tables.overview(results),
        plots=tuple(compared(results, folder, list(results.sweep.students))),
        students=parts,
        alarms=found,
        searched=tables.searched(results, folder),
        spent=tables.spent(results),
        failures=tables.failures(results),
        commands=_commands(results),
        provenance=tables.provenance(results),
        sweep_file=yaml.safe_dump(results.sweep.model_dump(mode="json"), sort_keys=False),
        terms=TERMS,
    )


def _without_password(results: SweepResults) -> SweepResults:
    """The same results, fit to be sent around: a server's address may hold a login."""
    uri = results.sweep.tracking.uri
    tracking = Tracking(uri=without_password(uri) if uri else None)
    return replace(results, sweep=results.sweep.model_copy(update={"tracking": tracking}))


def _part(results: SweepResults, student: str, found: tuple[Alarm, ...]) -> StudentPart:
    confirmed, best = results.confirmed.get(student), results.to_export(student)
    won = confirmed is not None and confirmed.winner is not None
    insight = insight_of(results, student)
    plots = tuple(of_student(results, insight))
    is_untold = bool(results.trials.get(student)) and all(plot.name != "importance" for plot in plots)
    return StudentPart(
        student=student,
        verdict=verdict_of(results, insight, [alarm for alarm in found if alarm.student in (None, student)]),
        told=tuple(_spelt(results, sentence) for sentence in sentences(confirmed))
        if confirmed and won and not confirmed.n_missing
        else (),
        arms=tables.arms(results, confirmed) if confirmed and won else None,
        space=tables.space(results, student, best.config.flat() if best else None),
        plots=plots,
        untold=untold(insight) if is_untold else None,
        yaml=export_yaml(results, best) if best else None,
    )


def _spelt(results: SweepResults, sentence: str) -> str:
    """As the rest of the report spells the metric; the terminal shows it bare."""
    metric = test_metric(results)
    return sentence.replace(metric.replace("_", " ", 1), spelt(metric))


def _answer(results: SweepResults, parts: tuple[StudentPart, ...]) -> str:
    """The bottom line: who did best, and how often distillation gained."""
    best = results.to_export()
    if best is None:
        return "No trial has run to its end yet, so there is nothing to say of what won."
    found = best.confirmation
    if found and found.winner:
        metric = test_metric(results)
        how_good = f"{spelt(metric)} {found.spread(found.winner, metric)} over {counted(len(found.seeds), 'seed')}"
    else:
        how_good = f"{spelt(results.sweep.objective.metric)} {best.objective:.3f} in one run, not confirmed"
    alone = len(results.sweep.students) == 1
    by = "reached" if alone else "did best on the validation clips, and reached"
    told = [f"{best.student} {by} {how_good}."]
    over = {student: one for (student, kind), one in gains(results, list(results.confirmed)).items()
            if kind == "no_distillation" and not results.confirmed[student].n_missing}  # fmt: skip
    gained = [student for student, one in over.items() if one.told_from_chance and one.mean > 0]
    if over and alone:
        told.append(
            "Distillation gained beyond chance." if gained else "No gain of distillation can be told from chance."
        )
    elif over:
        named = f": {', '.join(gained)}" if gained else ""
        told.append(f"Distillation gained beyond chance for {len(gained)} of {len(over)} confirmed students{named}.")
    levels = Counter(part.verdict.level for part in parts)
    if found and levels["open"]:
        told.append(f"{counted(levels['open'], 'student')} {'is' if levels['open'] == 1 else 'are'} not confirmed.")
    return " ".join(told)


def _commands(results: SweepResults) -> tuple[str, ...]:
    """What to type, in order: the sweep again, then each student's best."""
    name, ready = results.sweep.name, [student for student in results.sweep.students if results.best(student)]
    steps = [f"distune sweep {name}.yaml"]
    for student in ready:
        steps += [f"distune export {name} --student {student} -o {student}.yaml", f"distune reproduce {student}.yaml"]
    return tuple(steps)
