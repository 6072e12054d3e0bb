"""What an exported configuration says besides its values: what it was found by, on what, and how good it is."""

import platform
import re
from dataclasses import asdict
from importlib import metadata
from typing import Any

import numpy as np

from search.confirm.results import Arm, Confirmation, study_name
from search.record.results import BestTrial, SweepResults
from trainables.kept import SCORES_FILE
from trainables.threshold import operating_point

PACKAGES = ("torch", "torchaudio", "numpy", "ray", "optuna", "transformers")
REPRODUCED = ("val_pauc", "val_f1", "val_eer", "val_auc", "val_fpr", "val_fnr")
"""Metrics by which a trial that is run again is compared with what it was."""


def provenance(results: SweepResults, best: BestTrial) -> dict[str, Any]:
    """What distune needs to run the trial again, and what it measured; plain values, and no login."""
    name, facts = f"{results.sweep.name}/{best.student}", results.facts
    sweep = results.sweep.model_dump(mode="json")
    sweep["tracking"]["uri"] = without_login(sweep["tracking"]["uri"])
    return {
        "version": metadata.version("distune"),
        "sweep": sweep,
        "student": best.student,
        "study": name if best.arm is None else study_name(results.sweep.name, best.student),
        "trial_number": best.number,
        "seeds": [best.config.seed] if best.confirmation is None else list(best.confirmation.seeds),
        "trial": best.config.model_dump(mode="json"),
        "metrics": {key: float(value) for key, value in best.metrics.items()},
        "confirmed": _confirmed(best.confirmation, best.arm) if best.confirmation and best.arm else None,
        "operating_threshold": operating_threshold(results, best),
        "teacher_metrics": facts["teacher_metrics"],
        "data": facts.get("clips"),
        "teacher": facts.get("teacher"),
        "corpus": facts["corpus"],
        "head": facts["head"],
        "packages": versions(),
    }


def versions() -> dict[str, str]:
    """Of what a trial's figures hang on: packages, Python, the processor's architecture."""
    return {
        **{name: metadata.version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def without_login(uri: str | None) -> str | None:
    """A store's address without user and password, whichever way they stand in it: the file is passed around.

    >>> without_login("postgresql://me:se/cret@db:5432/runs?password=x&sslmode=require")
    'postgresql://db:5432/runs?sslmode=require'
    """
    if uri is None:
        return None
    # Up to the last @, for a password may hold slashes, and others besides.
    uri = re.sub(r"://[^?]*@", "://", uri)
    address, _, query = uri.partition("?")
    kept = [part for part in query.split("&") if part and not re.match(r"(user|password|passwd|token)=", part, re.I)]
    return "?".join([address, *(["&".join(kept)] if kept else [])])


def operating_threshold(results: SweepResults, best: BestTrial) -> dict[str, Any] | None:
    """The threshold for the run that ships, chosen on its validation scores at the sweep's ``objective.fpr``.

    Returns:
        The fields of an `OperatingPoint` and the rule; ``None`` where the run's scores were not kept, as of a trial
        that was not confirmed.
    """
    number = best.arm.numbers.get(best.config.seed) if best.arm else None
    if results.folder is None or number is None:
        return None
    file = results.folder.confirmed_run(best.student, number) / SCORES_FILE
    if not file.is_file():
        return None
    fpr = results.sweep.objective.fpr
    with np.load(file) as kept:
        point = operating_point(**{name: kept[name] for name in kept.files}, fpr=fpr)
    rule = f"the lowest above which at most {100 * fpr:g} % of the validation negatives lie"
    return {**asdict(point), "rule": rule}


def _confirmed(found: Confirmation, arm: Arm) -> dict[str, Any]:
    """An arm's means, deviations and gains."""
    name = found.objective.metric.removeprefix("val_")
    metrics = dict.fromkeys([f"val_{name}", f"test_{name}", "val_f1", "test_f1"])
    gains = {
        f"gain_over_{kind}": {metric: asdict(found.gain(arm, over, metric)) for metric in metrics}
        for kind, over in found.comparable(arm).items()
    }
    measured = [metric for metric in REPRODUCED if all(metric in arm.runs[seed] for seed in found.seeds)]
    return {
        "seeds": list(found.seeds),
        **{metric: asdict(found.spread(arm, metric)) for metric in dict.fromkeys([*metrics, *measured])},
        **gains,
    }
