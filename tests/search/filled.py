"""A sweep's record as a long one leaves it: known points, draws, early stopping, failures, confirming, scores.

What a configuration is worth is made up, and nothing is trained; everything else is recorded as a driver records it.
"""

from collections.abc import Iterable, Mapping
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np

from search.confirm.record import ConfirmRecord
from search.home import SweepFolder
from search.record.budget import WALL_SECONDS
from search.record.origin import Part
from search.record.results import SweepResults
from search.record.states import TrialState
from search.record.sweep import SweepRecord
from search.record.trials import Proposal, TrialRecord
from spaces.space import Space
from spaces.sweep import SweepConfig
from spaces.trial import TrialConfig

N_LAYERS, RUNGS = 7, (3, 9)
SHORT = {"search.sampler": "random", "budget.trials": 14, "budget.epochs": 10, "confirm.top": 1}
"""Changes to the sweep that make its record in seconds."""
CEILING = {"tiny_conv": 0.70, "mobilenetv3": 0.78, "resnet18": 0.90}
LAYER_WORTH = (0.0, 0.01, 0.02, 0.05, 0.09, 0.08, 0.03)
ORIGIN = {
    "the clips": Part("c1" * 8, {"data.path": "clips", **{f"data: clips of {split}": n for split, n in
                                 (("train", 1260), ("val", 420), ("test", 420))}}),
    "the views": Part("v1" * 8, {"data.views.count": 4}),
    "the teacher": Part("t1" * 8, {"teacher.architecture": "wav2vec2", "teacher.precision": "float32"}),
    "the teacher's head": Part("h1" * 8, {"teacher.mixing": "confidence"}),
}  # fmt: skip
TEACHER = {"pauc": 0.975, "auc": 0.996, "f1": 0.912, "eer": 0.022, "frr_at_fpr": 0.05, "frr_at_fah": 0.067}
FACTS: dict[str, Any] = {
    "corpus": "corpora/c1c1c1c1",
    "head": "h1" * 8,
    "teachers": {"wav2vec2": {"n_layers": N_LAYERS, "dim": 128, "rms": 0.9}},
    "teacher_metrics": {split: TEACHER for split in ("train", "val", "test")},
    "probes": [],
}


def sweep_of(changes: Mapping[str, Any] | None = None, students: Iterable[str] = CEILING) -> SweepConfig:
    tree = {
        "name": "hey-sirius",
        "data": {"path": "clips"},
        "students": list(students),
        "budget": {"trials": 24, "epochs": 27},
        "early_stopping": {"grace_epochs": RUNGS[0]},
        "confirm": {"top": 2},
    }
    return SweepConfig.model_validate(tree).overlaid(dict(changes or {}))


def fill_with_scores(folder: SweepFolder) -> SweepFolder:
    """Two students, searched and confirmed; tiny_conv's confirmed winner kept its scores."""
    winner = fill(folder, SHORT, ("tiny_conv", "mobilenetv3")).confirmed["tiny_conv"].winner
    assert winner is not None
    found = SweepResults.read(folder).confirmed["tiny_conv"]
    write_scores(folder.confirmed_run("tiny_conv", winner.numbers[found.best_seed(winner)]) / "scores.npz", 0.8)
    return folder


def fill(
    folder: SweepFolder,
    changes: Mapping[str, Any] | None = None,
    students: Iterable[str] = CEILING,
    trials: int | None = None,
    confirming_runs: int = 1000,
) -> SweepResults:
    """Record a search in ``folder``, and what confirming its winners came to.

    Args:
        trials: that end, a student; none: all that there are to be.
        confirming_runs: that end, a student.
    """
    sweep = sweep_of(changes, students)
    spaces = {student: Space.load(student) for student in sweep.students}
    record = SweepRecord(sweep, folder.create().journal, spaces, N_LAYERS, ORIGIN)
    folder.write(sweep, FACTS)
    for student in sweep.students:
        for turn in range(record.missing(student) if trials is None else trials):
            end_searching(record, student, fails=turn % 11 == 9)
    next(iter(record.studies.values())).set_user_attr(WALL_SECONDS, 4.5 * 3600)
    if confirming_runs:
        confirm(folder, sweep, spaces, confirming_runs)
    return SweepResults.read(folder)


def end_searching(record: SweepRecord, student: str, fails: bool = False) -> None:
    """One trial of the search, to its end or its rung."""
    proposal = record.propose(student)
    assert proposal is not None
    record.note(student, proposal.number, "seconds", 60.0)
    if fails:
        record.note(student, proposal.number, "reason", "student_loss not finite in epoch 2 <lower the rate & retry>")
        record.end(student, proposal.number, TrialState.FAILED)
        return
    values = curve(proposal.config, record.sweep.epochs_of(student))
    for epoch, value in enumerate(values, start=1):
        rung = epoch in RUNGS and record.sweep.early_stopping.scheduler != "none"
        stopped = rung and value < _bar(record, student, epoch)
        record.report(student, proposal.number, epoch, value, stopped=stopped)
        if stopped:
            end(record, proposal, values[:epoch], TrialState.PRUNED)
            return
    end(record, proposal, values, TrialState.FINISHED)


def end(record: TrialRecord, proposal: Proposal, values: list[float], state: TrialState) -> None:
    key, best = (proposal.student, proposal.number), max(values)
    metrics = _metrics(best) | {"epoch": values.index(best) + 1}
    record.note(*key, "best", {f"val_{name}" if name != "epoch" else name: value for name, value in metrics.items()})
    record.note(*key, "checkpoint", f"ray/{proposal.number}")
    if proposal.reads_test:
        record.note(
            *key,
            "test",
            {f"test_{name}": value for name, value in _metrics(best - 0.01 + 0.005 * (proposal.number % 3)).items()},
        )
    record.end(*key, state)


def confirm(folder: SweepFolder, sweep: SweepConfig, spaces: Mapping[str, Space], most: int) -> None:
    """Run up to ``most`` runs of a confirming a student."""
    results = SweepResults.read(folder)
    finished = {student: results.finished(student) for student in sweep.students}
    record = ConfirmRecord(sweep, folder.journal, finished, spaces)
    for student in record.studies:
        for _ in range(most):
            if (proposal := record.propose(student)) is None:
                break
            values = curve(proposal.config, record.sweep.epochs_of(student))
            for epoch, value in enumerate(values, start=1):
                record.report(student, proposal.number, epoch, value)
            end(record, proposal, values, TrialState.FINISHED)


def write_scores(file: Path, quality: float, seed: int = 0) -> None:
    """The scores of a run: the better, the further apart those of wake words and others."""
    drawn = np.random.default_rng(seed)
    arrays = {}
    for split in ("val", "test"):
        labels = np.repeat([0, 1], [360, 60])
        logits = drawn.normal(np.where(labels == 1, 1.0, -1.0) * 3 * quality, 1.3)
        arrays |= {f"{split}_scores": 1 / (1 + np.exp(-logits)), f"{split}_labels": labels}
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, **arrays)


def curve(config: TrialConfig, n_epochs: int) -> list[float]:
    """The objective after each epoch; a function of the configuration, its seed included."""
    distillation, rate = config.distillation, config.training.learning_rate
    drawn = np.random.default_rng([config.seed, round(1e6 * rate)])
    worth = CEILING[config.model.architecture] + drawn.normal(0, 0.012)
    worth -= 0.05 * log(config.training.learning_rate / 3e-3) ** 2
    if distillation.enabled and distillation.alpha > 0:
        worth += 0.06 * distillation.alpha - 0.03 * max(0.0, distillation.temperature - 3) * distillation.alpha
    if distillation.aligned:
        layers = sum(LAYER_WORTH[layer] for layer in distillation.aligned) / len(distillation.aligned) ** 0.5
        worth += layers * exp(-0.15 * log(distillation.feature_alignment_weight / 4) ** 2)
    worth = min(0.985, max(0.05, worth))
    noise = drawn.normal(0, 0.006, n_epochs)
    rises = [1 - exp(-epoch / 4.0) for epoch in range(1, n_epochs + 1)]
    return [float(min(0.99, max(0.04, worth * rise + wobble))) for rise, wobble in zip(rises, noise, strict=True)]


def _metrics(value: float) -> dict[str, float]:
    return {"pauc": value, "f1": value - 0.08, "auc": 0.5 + value / 2, "eer": (1 - value) / 3, "recall": value - 0.05,
            "fpr": 0.02, "frr_at_fpr": 1 - value, "frr_at_fah": 1 - value}  # fmt: skip


def _bar(record: SweepRecord, student: str, epoch: int) -> float:
    """What a trial must reach at a rung: the upper third of those before it."""
    seen = [t.intermediate_values[epoch] for t in record.trials(student) if epoch in t.intermediate_values]
    return float(np.quantile(seen, 0.6)) if len(seen) >= 3 else 0.0
