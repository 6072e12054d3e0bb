"""What to be wary of in a sweep, each in a sentence that says what it means and one that says what to do."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from search.confirm.statistics import paired_gain
from search.insight.comparison import ranked
from search.insight.edges import at_an_edge
from search.record.results import SweepResults

N_BEST_ALIGNED = 3
LOWERED = 0.95
"""An alignment loss counts as lowered from under this share of its first epoch's."""
MOST = 0.5
MANY_FAILED = 0.2
FAR = 0.05
"""By which a mean validation objective exceeds the test's, in the objective's unit."""


@dataclass(frozen=True)
class Alarm:
    """One reason for doubt.

    Attributes:
        student: whom it concerns; ``None`` for the whole sweep.
        kind: for scripts, e.g. ``weak teacher``.
        told: what was found and what it means, one sentence.
        remedy: what to do, one sentence.
    """

    student: str | None
    kind: str
    told: str
    remedy: str


def alarms(results: SweepResults) -> list[Alarm]:
    """Every alarm of a sweep, running or not; the sweep's first, then each student's."""
    found = list(_weak_teacher(results))
    for student in results.trials:
        for check in (_better_than_its_teacher, _idle_alignment, _edges, _collapsed, _failures, _far_above_test):
            found += check(results, student)
    return found


def _weak_teacher(results: SweepResults) -> Iterator[Alarm]:
    f1, gate = results.facts["teacher_metrics"]["val"]["f1"], results.sweep.teacher.minimum_f1
    if f1 < gate:
        yield Alarm(
            None,
            "weak teacher",
            f"the teacher's validation F1 is {f1:.3f}, under {gate:.2f}: its students learn its mistakes.",
            "Fit a better one with `distune teacher fit`.",
        )


def _better_than_its_teacher(results: SweepResults, student: str) -> Iterator[Alarm]:
    best, metric = results.best(student), results.sweep.objective.metric
    if best is None:
        return
    sign = results.sweep.objective.sign
    teacher = results.facts["teacher_metrics"]["val"].get(metric.removeprefix("val_"))
    # A teacher answers clips alone, so there may be none to compare with.
    if teacher is not None and sign * best.objective > sign * teacher:
        yield Alarm(
            student,
            "better than its teacher",
            f"its best {metric} is {best.objective:.3f}, its teacher's {teacher:.3f}: "
            "what it gained came from the labels or from luck in validation, not from what its teacher knows.",
            "Compare with the arm without distillation in `distune confirm`, and try a better teacher.",
        )


def _idle_alignment(results: SweepResults, student: str) -> Iterator[Alarm]:
    """Of the best aligned trials, more than half ended near the alignment loss that they began with."""
    traced = [trial for trial in _ranked(results, student) if "alignment" in trial.user_attrs][:N_BEST_ALIGNED]
    losses = [trial.user_attrs["alignment"] for trial in traced]
    idle = [(first, last) for first, last in losses if last > LOWERED * first]
    if len(idle) > MOST * len(losses):
        first, last = idle[0]
        yield Alarm(
            student,
            "idle alignment",
            f"in {len(idle)} of its {len(losses)} best aligned trials the alignment loss did not fall "
            f"({first:.3g} to {last:.3g}): the student did not come to resemble those layers.",
            "Try lower layers, a greater feature_alignment_weight or more epochs.",
        )


def _edges(results: SweepResults, student: str) -> Iterator[Alarm]:
    for edge in at_an_edge(_ranked(results, student)):
        end, further = ("top", "Raise its high") if edge.at_high else ("bottom", "Lower its low")
        yield Alarm(
            student,
            "at an edge",
            f"the best trials lie at the {end} of {edge.key}'s range ({edge.bound:g}): better ones may lie beyond.",
            f"{further} in the search space, and search on under another name (--name, --warm-start).",
        )


def _collapsed(results: SweepResults, student: str) -> Iterator[Alarm]:
    """At threshold 0.5, the best trial or most trials accept nothing, or everything."""
    trials = [trial for trial in results.trials[student] if "best" in trial.user_attrs]
    best, collapsed = results.best(student), [words for trial in trials if (words := _collapse(trial))]
    of_best = next((_collapse(trial) for trial in trials if best and trial.number == best.number), None)
    if of_best or len(collapsed) > MOST * len(trials):
        words = of_best or collapsed[0]
        whose = "its best trial accepts" if of_best else f"{len(collapsed)} of its {len(trials)} trials accept"
        yield Alarm(
            student,
            "collapsed predictions",
            f"at threshold 0.5, {whose} {words}: how it ranks clips may be right, its probabilities are not.",
            "Choose the threshold on validation clips, or lower distillation.alpha or the temperature.",
        )


def _collapse(trial: FrozenTrial) -> str | None:
    metrics = trial.user_attrs["best"]
    if metrics.get("val_recall") == 0:
        return "no wake word"
    return "everything" if metrics.get("val_fpr") == 1 else None


def _failures(results: SweepResults, student: str) -> Iterator[Alarm]:
    ended = [trial for trial in results.trials[student] if trial.state.is_finished()]
    failed = [trial for trial in ended if trial.state == TrialState.FAIL]
    if len(failed) > 1 and len(failed) > MANY_FAILED * len(ended):
        reason, n = Counter(trial.user_attrs.get("reason", "no reason was recorded") for trial in failed).most_common(
            1
        )[0]
        yield Alarm(
            student,
            "many failures",
            f"{len(failed)} of {len(ended)} trials failed, {n} of them with: {reason}.",
            "What they would have shown is missing: mend the cause, or narrow the space to where trials live.",
        )


def _far_above_test(results: SweepResults, student: str) -> Iterator[Alarm]:
    """The confirmed winner's validation exceeds its test by a margin, over seeds, and not by chance."""
    found = results.confirmed.get(student)
    if found is None or found.winner is None:
        return
    objective, runs = results.sweep.objective, found.winner.runs
    metric = objective.metric
    test = objective.test_metric
    if test.removeprefix("test_") != metric.removeprefix("val_"):
        return
    excess = paired_gain([objective.sign * (runs[seed][metric] - runs[seed][test]) for seed in found.seeds])
    if excess.told_from_chance and excess.mean > FAR:
        yield Alarm(
            student,
            "validation far above test",
            f"its confirmed {metric} is better than its {test} by {excess.mean:.3f} ({excess.low:.3f} to "
            f"{excess.high:.3f}): the search fitted the validation clips, or the test clips are harder.",
            "Believe the test clips, and give validation more clips and speakers like those of the test.",
        )


def _ranked(results: SweepResults, student: str) -> list[FrozenTrial]:
    return ranked(results.trials[student], results.sweep.objective.mode == "max")
