"""What an exported configuration says besides its values: what it was found by, on what, and how good it is."""

import platform
from dataclasses import asdict
from importlib import metadata
from typing import Any

import numpy as np

from search.confirm.results import Arm, Confirmation, study_name
from search.record.results import BestTrial, SweepResults
from spaces.secrets import without_login
from trainables.kept import SCORES_FILE
from trainables.threshold import OperatingPoint, operating_point

PACKAGES = ("torch", "torchaudio", "numpy", "ray", "optuna", "transformers")
REPRODUCED = ("val_pauc", "val_f1", "val_eer", "val_auc", "val_fpr", "val_fnr")
"""Metrics by which a trial that is run again is compared with what it was."""


def provenance(results: SweepResults, best: BestTrial) -> dict[str, Any]:
    """What distune needs to run the trial again, and what it measured; plain values, and no login."""
    name, facts = f"{results.sweep.name}/{best.student}", results.facts
    sweep = results.sweep.model_dump(mode="json")
    uri = sweep["tracking"]["uri"]
    sweep["tracking"]["uri"] = uri and without_login(uri)
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
        "stream": facts.get("stream"),
        "packages": versions(),
    }


def versions() -> dict[str, str]:
    """Of what a trial's figures hang on: packages, Python, the processor's architecture."""
    return {
        **{name: metadata.version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def operating_threshold(results: SweepResults, best: BestTrial) -> dict[str, Any] | None:
    """The threshold of the run that is exported, chosen on its validation scores at the sweep's ``objective.fpr``.

    Returns:
        The fields of an `OperatingPoint` and the rule; of a run whose scores were not kept, as of a trial that was not
        confirmed, what its best epoch measured on validation alone. With a stream, ``on_stream``: the detector's
        threshold there and under what it is released, at which rate, and the share of words missed. ``None`` of a
        record without any of that.
    """
    objective, metrics = results.sweep.objective, best.metrics
    rule = {"rule": f"the lowest above which at most {100 * objective.fpr:g} % of the validation negatives lie"}
    if point := _kept_point(results, best):
        found = asdict(point) | rule
    elif "val_threshold_at_fpr" in metrics:
        found = {"threshold": metrics["val_threshold_at_fpr"], "val_fnr": metrics["val_frr_at_fpr"]} | rule
    else:
        return None
    if "val_stream_threshold" not in metrics:
        return found
    return found | {
        "on_stream": {
            "threshold": metrics["val_stream_threshold"],
            "release": metrics["val_stream_release"],
            "false_accepts_per_hour": objective.false_accepts_per_hour,
            "frr": metrics["val_stream_frr_at_fah"],
        }
    }


def _kept_point(results: SweepResults, best: BestTrial) -> OperatingPoint | None:
    """Of a confirmed run whose scores were kept."""
    number = best.arm.numbers.get(best.config.seed) if best.arm else None
    if results.folder is None or number is None:
        return None
    file = results.folder.confirmed_run(best.student, number) / SCORES_FILE
    if not file.is_file():
        return None
    with np.load(file) as kept:
        return operating_point(**{name: kept[name] for name in kept.files}, fpr=results.sweep.objective.fpr)


def _confirmed(found: Confirmation, arm: Arm) -> dict[str, Any]:
    """An arm's means, deviations and gains."""
    metrics = dict.fromkeys([found.objective.metric, found.objective.test_metric, "val_f1", "test_f1"])
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
