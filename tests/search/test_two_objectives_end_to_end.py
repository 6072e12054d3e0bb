"""A sweep for quality and size as its user sees it: real Ray, training, Optuna and MLflow, on a few clips."""

from types import SimpleNamespace

import pytest
import ray

from search.record.results import SweepResults
from search.record.states import TrialState
from search.run.profile import Profile
from search.run.starting import started
from search.run.tuning import run_trials
from search.tracking.tracker import Tracker
from spaces.space import Space
from tests.search.conftest import SPACE, RecordedSweep
from tests.trainables.conftest import HEAD, write_corpus

pytestmark = pytest.mark.slow

WIDTHS = {"model.tcn_num_channels": {"low": 8, "high": 64, "step": 8, "default": [16, 32, 64]}}
PARAMETERS = SPACE.model_dump()["parameters"] | WIDTHS
SIZED = Space.model_validate({"parameters": PARAMETERS, "known_points": {"shipped": {}}})
LIMIT_KB = 40
CHANGES = {
    "objective.size": "flash_kb",
    "students.tiny_conv.max_flash_kb": LIMIT_KB,
    "budget": {"trials": 6, "epochs": 3},
    "early_stopping.grace_epochs": 1,
}


def test_trials_are_judged_by_quality_and_size_from_the_draw_to_the_front(home, tmp_path, records, run, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    recorded = RecordedSweep(home.sweep("first"), students=("tiny_conv",))
    record = recorded.open(CHANGES, SIZED)
    recorded.folder.write(record.sweep, {"teacher_metrics": {"val": {"pauc": 0.9, "f1": 0.9}}})
    corpus, teacher = write_corpus(tmp_path / "corpus"), SimpleNamespace(head_fingerprint=HEAD)
    of_trials = {"read_from": str(corpus), "spaces": record.spaces, "n_layers": record.n_layers, "stream": None}
    shared = SimpleNamespace(corpus=corpus, teacher=teacher, **of_trials)
    started(lambda: ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False))
    try:
        with Tracker.open(home.tracking_uri, "first", home.artifacts, recorded.folder.spool) as tracker:
            run_trials(record, shared, tracker, recorded.folder, Profile())
    finally:
        ray.shutdown()

    results = SweepResults.read(recorded.folder)
    trials = results.trials["tiny_conv"]
    assert len(trials) == 6 and all(TrialState.of_optuna(trial.state).is_over for trial in trials)
    sizes = {trial.number: trial.user_attrs["size"] for trial in trials}
    assert max(size["flash_kb"] for size in sizes.values()) <= LIMIT_KB
    for trial in results.finished("tiny_conv"):
        assert trial.values == [max(trial.intermediate_values.values()), sizes[trial.number]["flash_kb"]]
    front = results.front()
    assert [trial.size["flash_kb"] for trial in front] == sorted(trial.size["flash_kb"] for trial in front)
    assert front[-1].objective == results.best("tiny_conv").objective
    told = records.runs()
    for number, size in sizes.items():
        assert float(told[f"tiny_conv-{number:03d}"].data.params["size.flash_kb"]) == size["flash_kb"]
    status = run("status", "first")
    assert status.status == 0 and f"{front[0].size['parameters']:,}" in status.shown
