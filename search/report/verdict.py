"""What won, by how much, why, and whether to believe it: a student's answers, each a sentence or two."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from search.confirm.results import Arm, Confirmation
from search.insight.alarms import Alarm
from search.insight.student import Insight
from search.plots.gain import test_metric, told_gain
from search.plots.importance import untold, value
from search.plots.plot import counted, short, spelt
from search.record.results import SweepResults
from spaces.trial import TrialConfig

Level = Literal["sound", "doubtful", "open"]
MOST_TOLD = 3


@dataclass(frozen=True)
class Verdict:
    """A student's answers.

    Attributes:
        level: sound where a gain is told from chance and nothing speaks against it, doubtful where something does, open
            where it cannot be said yet.
        headline: the answer in a few words.
        score, scale: the number to know it by, and what that is; empty where there is none.
        won, gained, why, believe: the four answers, sentences each.
    """

    student: str
    level: Level
    headline: str
    score: str
    scale: str
    won: tuple[str, ...]
    gained: tuple[str, ...]
    why: tuple[str, ...]
    believe: tuple[str, ...]


def verdict_of(results: SweepResults, insight: Insight, found: Sequence[Alarm]) -> Verdict:
    """A student's answers.

    Args:
        found: the alarms of the sweep, and of this student.
    """
    confirmed = results.confirmed.get(insight.student)
    if confirmed and confirmed.winner and not confirmed.n_missing:
        return _confirmed(results, insight, confirmed, confirmed.winner, found)
    return _unconfirmed(results, insight, confirmed, found)


def _confirmed(
    results: SweepResults, insight: Insight, found: Confirmation, winner: Arm, alarms: Sequence[Alarm]
) -> Verdict:
    metric, n = test_metric(results), len(found.seeds)
    gains = [(over, found.gain(winner, over, metric)) for over in found.comparable(winner).values()]
    over_none = next((one for over, one in gains if over.kind == "no_distillation"), None)
    spread, val = found.spread(winner, metric), found.spread(winner, found.objective.metric)
    level: Level = "doubtful"
    if winner.family == "no_distillation":
        level, headline = "doubtful", "Distillation did not help"
        reason = "The winner learns from labels alone: nothing that learns from the teacher did better."
    elif over_none is None:
        level, headline, reason = "doubtful", "Confirmed, with nothing to compare", "There is no baseline that ran."
    elif over_none.low is None:
        level, headline = "doubtful", "One seed: no interval"
        reason = "Of one seed there is no interval; confirm it with more: `distune confirm --seeds 5`."
    elif not over_none.told_from_chance:
        level, headline = "doubtful", "No gain beyond chance"
        reason = f"Over {n} seeds, the interval of its gain over no distillation holds zero; more seeds may tell."
    elif over_none.mean < 0:
        level, headline = "doubtful", "Worse than no distillation"
        reason = f"Over {n} seeds it is worse than the same student without a teacher, beyond chance."
    else:
        level, headline = "doubtful" if alarms else "sound", "Better than no distillation"
        reason = f"Its gain over no distillation is beyond chance, on {n} new seeds and test clips that chose nothing."
    return Verdict(
        found.student, level, headline, f"{spread.mean:.3f}", f"{spelt(metric)}, mean of {counted(n, 'seed')}",
        won=(f"{_upper(winner.name)}: {spelt(metric)} {spread}, {spelt(found.objective.metric)} {val}.",),
        gained=tuple(f"{told_gain(one)} over {over.name}." for over, one in gains)
        or ("It is the baseline itself.",),
        why=_why(insight, winner.config),
        believe=(reason, *_alarmed(alarms)),
    )  # fmt: skip


def _unconfirmed(
    results: SweepResults, insight: Insight, confirming: Confirmation | None, alarms: Sequence[Alarm]
) -> Verdict:
    student = insight.student
    best, metric = results.best(student), results.sweep.objective.metric
    if best is None:
        n = len(results.trials.get(student, []))
        told = f"None of {counted(n, 'trial')} has run to its end." if n else "No trial has begun."
        return Verdict(
            student, "open", "Nothing to show yet", "–", "", (told,), (), (), _alarmed(alarms) if alarms else ()
        )
    known = next((t for t in results.trials[student] if t.user_attrs.get("known_point") == "no_distillation"), None)
    bare = known.user_attrs.get("best", {}).get(metric) if known else None
    gained = ["No trial without distillation has ended to compare with."]
    if known and bare is not None:
        difference = results.sweep.objective.sign * (best.objective - bare)
        gained = [f"{difference:+.3f} over trial {known.number}, which is not distilled ({bare:.3f}), one run of each."]
        if known.number == best.number:
            gained = ["None: the best trial is the one without distillation."]
    pending = confirming.n_missing if confirming else 0
    if pending:
        told = f"It is being confirmed: {counted(pending, 'run')} to go."
    else:
        command = f"`distune confirm {results.sweep.name}`"
        told = f"A search's best value is the luckiest of many: {command} runs it on new seeds."
    return Verdict(
        student, "open", "Being confirmed" if pending else "Not confirmed", f"{best.objective:.3f}",
        f"{spelt(metric)}, one run", (f"Trial {best.number}: {spelt(metric)} {best.objective:.3f}.",), tuple(gained),
        _why(insight, best.config), (told, *_alarmed(alarms)),
    )  # fmt: skip


def _why(insight: Insight, config: TrialConfig) -> tuple[str, ...]:
    told = [one for one in insight.importances if one.told_from_chance][:MOST_TOLD]
    mattered = [f"{one.key} (better half {value(one.better)}, worse half {value(one.worse)})" for one in told]
    if mattered:
        return teaching(config), f"What mattered: {'; '.join(mattered)}."
    none = "No parameter can be told from chance to have mattered." if insight.importances else untold(insight)
    return teaching(config), none


def teaching(config: TrialConfig) -> str:
    """What a student learns from, in words."""
    distillation = config.distillation
    if not distillation.enabled:
        return "It learns from labels alone."
    parts = []
    if distillation.alpha > 0:
        falling = "" if distillation.temperature_scheduler == "fixed" else " at first"
        softened = f"alpha {short(distillation.alpha)}, temperature {short(distillation.temperature)}{falling}"
        parts.append(f"the teacher's logits ({softened})")
    if distillation.aligned:
        layers = ", ".join(map(str, distillation.aligned))
        word = "layer" if len(distillation.aligned) == 1 else "layers"
        parts.append(f"the teacher's {word} {layers} (weight {short(distillation.feature_alignment_weight)})")
    return f"It learns from {' and from '.join(parts)}."


def _alarmed(alarms: Sequence[Alarm]) -> tuple[str, ...]:
    if not alarms:
        return ("No alarm speaks against it.",)
    return (f"{_upper(counted(len(alarms), 'alarm'))}: {', '.join(alarm.kind for alarm in alarms)}.",)


def _upper(words: str) -> str:
    return words[:1].upper() + words[1:]
