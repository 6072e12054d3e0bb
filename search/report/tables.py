"""What was searched, on what, at what price: the report's lists and tables, from the record alone."""

from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search.confirm.results import BASELINES, Confirmation
from search.home import SweepFolder
from search.plots.gain import test_metric, told_gain
from search.plots.importance import value
from search.plots.plot import Data, counted, said, short, spelt
from search.record.budget import HOUR
from search.record.identity import ATTRIBUTE
from search.record.results import SweepResults
from search.record.states import TrialState
from spaces.sweep import SweepConfig

Rows = list[tuple[str, str]]
"""Names and what is to be said of them."""
STATES = (TrialState.FINISHED, TrialState.PRUNED, TrialState.FAILED, TrialState.RUNNING)


def overview(results: SweepResults) -> Data:
    """A row a student."""
    metric = results.sweep.objective.metric
    columns = ("student", "trials ended", "stopped early", "failed", f"best {spelt(metric)}", "its F1", "trial",
               "not distilled", "guide's settings", f"confirmed {spelt(test_metric(results))}",
               "gain over no distillation")  # fmt: skip
    return Data.of(columns, [_row(results, student) for student in results.sweep.students])


def _row(results: SweepResults, student: str) -> Iterator[Any]:
    trials = results.trials.get(student, [])
    states = [TrialState.of_optuna(trial.state) for trial in trials]
    best, found, metric = results.best(student), results.confirmed.get(student), results.sweep.objective.metric
    known = {trial.user_attrs.get("known_point"): trial.user_attrs.get("best", {}).get(metric) for trial in trials}
    yield from (student, f"{sum(state.is_over for state in states)} of {len(states) + results.to_begin[student]}")
    yield from (states.count(TrialState.PRUNED), states.count(TrialState.FAILED))
    yield from (best and best.objective, best and best.metrics["val_f1"], best and best.number)
    yield from (known.get("no_distillation"), known.get("guide"))
    winner = found and found.winner
    yield found.spread(winner, test_metric(results)) if found and winner else None
    bare = found.comparable(winner).get("no_distillation") if found and winner else None
    yield told_gain(found.gain(winner, bare, test_metric(results))) if found and winner and bare else None


def arms(results: SweepResults, found: Confirmation) -> Data:
    """A row an arm that was confirmed, with what it gains over the baselines."""
    test, winner = test_metric(results), found.winner
    metrics = dict.fromkeys([results.sweep.objective.metric, test, "test_f1"])
    baselines = [over for kind in BASELINES if (over := found.baseline(kind))]
    columns = ("arm", *map(spelt, metrics), *(f"gain over {over.name}" for over in baselines), "seeds")
    rows = [
        (
            arm.name + (" (the winner)" if arm == winner else ""),
            *(found.spread(arm, metric) for metric in metrics),
            *(
                told_gain(found.gain(arm, over, test)) if over in found.comparable(arm).values() else None
                for over in baselines
            ),
            len(arm.runs),
        )
        for arm in found.arms
        if arm.runs
    ]
    return Data.of(columns, rows)


def space(results: SweepResults, student: str, config: Mapping[str, Any] | None) -> Data:
    """A row a parameter that the student's trials drew.

    Args:
        config: the winner's settings, flat.
    """
    distributions: dict[str, BaseDistribution] = {}
    for trial in results.trials.get(student, []):
        distributions |= trial.distributions
    settings = config or {}
    rows = [(key, _range(distribution), _chosen(key, settings)) for key, distribution in distributions.items()]
    return Data.of(("parameter", "searched", "the winner's"), rows)


def _chosen(key: str, config: Mapping[str, Any]) -> str:
    """A drawn layer subset is three ordinals of one setting, which names the layers themselves."""
    held = key if key in config else key.rpartition(".")[0]
    drawn = config.get(held)
    return said(drawn) if isinstance(drawn, list) else value(drawn)


def _range(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return f"one of {', '.join(map(value, distribution.choices))}"
    low, high = distribution.low, distribution.high  # type: ignore[attr-defined]
    scale = ", on a log scale" if distribution.log else ""  # type: ignore[attr-defined]
    return f"{short(low)} to {short(high)}{scale}"


def searched(results: SweepResults, folder: SweepFolder) -> Rows:
    """What was searched, on which data, by which teacher."""
    sweep, teacher = results.sweep, results.facts["teacher_metrics"]
    told = ", ".join(_clips(results, folder))
    name = sweep.objective.test_metric.removeprefix("test_")
    quality = "; ".join(
        f"{words} {spelt(f'x_{name}').removeprefix('x ')} {metrics[name]:.3f}, F1 {metrics['f1']:.3f}"
        for split, words in SPLITS.items()
        if (metrics := teacher.get(split))
    )
    members = ", ".join(
        f"{member} with {counted(states['n_layers'], 'layer')}" for member, states in results.facts["teachers"].items()
    )
    stopping, confirm = sweep.early_stopping, sweep.confirm
    better = "more" if sweep.objective.mode == "max" else "less"
    return [
        ("Objective", f"{spelt(sweep.objective.metric)}, {better} is better"
         + (f"; small {sweep.objective.size} beside it" if sweep.objective.size else "")),
        ("Data", f"{sweep.data.path}" + (f": {told}" if told else "")
         + f"; {counted(sweep.data.views.count, 'view')} a training clip"),
        ("Teacher", f"{sweep.teacher.model or 'the small one that ships with distune'}"
         + (f" ({members})" if members else "") + f"; {quality}"),
        ("Students", "; ".join(_budget(sweep, student) for student in sweep.students)),
        ("Proposed by", f"{sweep.search.sampler}, seed {sweep.search.seed}, after known points"
         + (f"; warm starts from {', '.join(sweep.search.warm_start)}" if sweep.search.warm_start else "")),
        ("Early stopping", "none" if stopping.scheduler == "none" else
         f"{stopping.scheduler}: {counted(stopping.grace_epochs, 'epoch')} for every trial, then one in "
         f"{stopping.reduction_factor} goes on at each rung"),
        ("Confirming", f"the best {confirm.top} a student, {counted(confirm.seeds, 'seed')} an arm, beside tuned "
         "baselines" if confirm.enabled or results.confirmed else "left out"),
    ]  # fmt: skip


SPLITS = {"train": "training", "val": "validation", "test": "test"}


def _clips(results: SweepResults, folder: SweepFolder) -> Iterator[str]:
    """How many clips each split has, and of which kind where that was noted."""
    counts = results.facts.get("clips", {}).get("counts", {})
    settings = origin_settings(folder, results.sweep)
    for split, words in SPLITS.items():
        kinds = [f"{n:,} {kind.replace('_', ' ')}" for kind, n in counts.get(split, {}).items() if n]
        n_clips = sum(counts.get(split, {}).values()) or settings.get(f"data: clips of {split}")
        if n_clips:
            yield f"{n_clips:,} {words} clips" + (f" ({', '.join(kinds)})" if kinds else "")


def _budget(sweep: SweepConfig, student: str) -> str:
    limit = sweep.students[student].max_flash_kb
    most = f", at most {limit:g} kB of flash" if limit is not None else ""
    return (
        f"{student}, {counted(sweep.trials_of(student), 'trial')} of {counted(sweep.epochs_of(student), 'epoch')}{most}"
    )


def origin_settings(folder: SweepFolder, sweep: SweepConfig) -> dict[str, Any]:
    """The settings of clips, views and teacher, as noted when the sweep began; empty where nothing was."""
    storage = JournalStorage(JournalFileBackend(str(folder.journal)))
    searching = {f"{sweep.name}/{student}" for student in sweep.students}
    studies = optuna.get_all_study_summaries(storage, include_best_trial=False)
    noted = (study.user_attrs.get(ATTRIBUTE) for study in studies if study.study_name in searching)
    origin: dict[str, Any] = next((identity["origin"] for identity in noted if identity), {})
    return {key: value for part in origin.values() for key, value in part["settings"].items()}


def spent(results: SweepResults) -> Rows:
    """Trials by state, epochs, hours, money, and what early stopping saved."""
    states = [TrialState.of_optuna(trial.state) for trials in results.trials.values() for trial in trials]
    by_state = [f"{states.count(state)} {WORDS[state]}" for state in STATES if state in states]
    rows = [
        ("Trials", ", ".join([*by_state, *([f"{sum(results.to_begin.values())} to begin"] * (results.n_missing > 0))]))
    ]
    trained, saved = results.epochs_trained, results.epochs_saved
    share = f" ({saved / max(1, trained + saved):.0%} of {trained + saved:,})"
    rows.append(("Epochs", f"{trained:,} trained" + (f"; early stopping saved {saved:,}{share}" if saved else "")))
    rows.append(("Hours", f"{results.spent.wall_seconds / HOUR:.2f} while trials ran, confirming included"))
    if results.spent.gpu_seconds:
        rows.append(("GPU hours", f"{results.spent.gpu_seconds / HOUR:.2f}"))
    if (cost := results.spent.cost(results.sweep.budget)) is not None:
        rows.append(("Cost", f"{cost:.2f}, at {results.sweep.budget.price_per_hour:g} an hour"))
    if limit := results.limit_reached:
        rows.append(("Limit reached", f"{limit} = {getattr(results.sweep.budget, limit.removeprefix('budget.')):g}"))
    if results.exhausted:
        rows.append(("Spaces exhausted", ", ".join(results.exhausted)))
    return rows


WORDS = {TrialState.FINISHED: "finished", TrialState.PRUNED: "stopped early", TrialState.FAILED: "failed",
         TrialState.RUNNING: "under way"}  # fmt: skip


def failures(results: SweepResults) -> Data:
    """Why trials and confirming runs failed, each reason once."""
    rows = [(", ".join(which), reason) for reason, which in results.failures.items()]
    rows += [
        (f"{student}, confirming", told) for student, found in results.confirmed.items() for told in found.failures
    ]
    return Data.of(("trials", "reason"), rows)


def provenance(results: SweepResults) -> Rows:
    """What somebody else needs to know to get the same."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("distune", "torch", "ray", "optuna"))
    seeds = {seed for found in results.confirmed.values() for seed in found.seeds}
    rows = [
        ("Corpus", str(results.facts["corpus"]).rpartition("/")[2]),
        ("Teacher's head", results.facts["head"]),
        ("Seed of the search", str(results.sweep.search.seed)),
    ]
    if seeds:
        rows.append(("Seeds of confirming", ", ".join(map(str, sorted(seeds)))))
    return [*rows, ("Versions where this was written", versions)]
