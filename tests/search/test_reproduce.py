"""What running an exported trial again is judged by."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import yaml

from search.configuration.forms import exported
from search.configuration.provenance import versions
from search.confirm.statistics import Spread, prediction_interval
from search.home import open_home
from search.prepare.shared import make_shared
from search.record.results import BestTrial, SweepResults
from search.reproduce import Reproduction, reproduce_trial
from search.screen.steps import silent_steps
from spaces.sweep import SweepConfig
from tests.search.commands import Run, assert_refused
from tests.search.conftest import synthesise_few
from trainables.build import build_run
from trainables.teachers.load import SHIPPED

SPREADS = {"val_pauc": Spread(0.80, 0.02, 3), "val_f1": Spread(0.70, 0.01, 3)}
EXPORTED = {"val_pauc": 0.81, "val_f1": 0.70, "train_seconds": 3.0, "test_pauc": 0.7}


def test_the_prediction_interval_by_hand() -> None:
    """t of 2 degrees of freedom at 97.5 % is 4.3027; times 0.02, times the root of 4/3."""
    low, high = prediction_interval(Spread(0.80, 0.02, 3)) or (0.0, 0.0)
    assert (high - low) / 2 == pytest.approx(4.3027 * 0.02 * (4 / 3) ** 0.5, rel=1e-4)
    assert (low + high) / 2 == pytest.approx(0.80)
    assert prediction_interval(Spread(0.80, None, 1)) is None


def test_the_same_figures_are_bit_identical_whatever_the_time_they_took() -> None:
    found = Reproduction(EXPORTED, {"val_pauc": 0.81, "val_f1": 0.70, "train_seconds": 9.0}, SPREADS)
    assert found.identical and found.succeeded
    assert found.verdict()[0] == "bit-identical: every metric is as it was exported"


def test_other_figures_within_the_spread_are_told_so() -> None:
    found = Reproduction(EXPORTED, {"val_pauc": 0.75, "val_f1": 0.69}, SPREADS, ("torch 1, here 2",))
    assert not found.identical and found.succeeded and found.outside == {}
    assert found.verdict() == [
        "not bit-identical",
        "otherwise than it was: torch 1, here 2",
        "within the confirmed spread (where one more run falls in 95 % of cases, from 3 seeds): "
        "all of val_pauc, val_f1",
    ]


def test_a_figure_outside_the_spread_is_named_with_the_spreads_ends() -> None:
    found = Reproduction(EXPORTED, {"val_pauc": 0.60, "val_f1": 0.70}, SPREADS, ("other clips",))
    assert not found.succeeded and list(found.outside) == ["val_pauc"]
    assert found.verdict()[-1].endswith(": val_pauc 0.6000, of 0.7006 to 0.8994")


def test_without_a_spread_only_a_known_reason_excuses_other_figures() -> None:
    again = {"val_pauc": 0.80, "val_f1": 0.70}
    assert not Reproduction(EXPORTED, again, {}).succeeded
    assert Reproduction(EXPORTED, again, {}, ("torch 1, here 2",)).succeeded
    one = Reproduction(EXPORTED, again, {"val_pauc": Spread(0.81, None, 1)})
    assert one.verdict()[-1] == "the trial was confirmed on one seed alone, so there is no spread to judge by"


def test_figures_outside_the_spread_are_work_that_failed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Reproduction(EXPORTED, {"val_pauc": 0.60, "val_f1": 0.70}, SPREADS)
    monkeypatch.setattr("search.reproduce.reproduce_trial", lambda *_, **__: found)
    status, shown, told = run("reproduce", "best.yaml")
    assert (status, told) == (1, "")
    assert "val_pauc 0.6000, of 0.7006 to 0.8994" in shown and "0.800 ± 0.020" in shown


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread, as a trial of one CPU has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def best_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported trial of two epochs, trained here."""
    place = tmp_path_factory.mktemp("reproduced")
    synthesise_few(place / "clips")
    tree = {
        "name": "small",
        "data": {"path": str(place / "clips"), "views": {"count": 1}},
        "teacher": {"allow_weak": True},
        "students": ["tiny_conv"],
        "budget": {"epochs": 2},
    }
    sweep = SweepConfig.model_validate(tree)
    shared = make_shared(sweep, open_home(place / "home"), silent_steps)
    trial = sweep.trial_config("tiny_conv", {"distillation.alpha": 0.5}, number=4)
    head = shared.teacher.head_fingerprint
    run = build_run(trial.flat(), shared.corpus, head, sweep.objective.model_dump())
    with one_thread():
        while not run.done:
            run.step()
    assert run.best is not None
    best = BestTrial("tiny_conv", 4, trial, run.best.result["val_pauc"], run.best.result, None)
    file = place / "best.yaml"
    file.write_text(exported(SweepResults(sweep, shared.facts, {}, {}), best, "trial"))
    return file


@pytest.mark.slow
@pytest.mark.skipif(not SHIPPED.is_dir(), reason="no teacher was shipped")
def test_on_the_same_clips_it_is_bit_identical_and_on_others_it_says_what_changed(
    best_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setenv("DISTUNE_HOME", str(best_file.parent / "home"))
    same = reproduce_trial(best_file, silent_steps)
    assert same.identical and same.changed == () and same.succeeded
    shutil.copytree(best_file.parent / "clips", tmp_path / "others")
    manifest = tmp_path / "others" / "manifest.csv"
    rows = manifest.read_text().splitlines(keepends=True)
    rows.remove(next(row for row in rows if "train/positive" in row))
    manifest.write_text("".join(rows))
    with caplog.at_level(logging.WARNING):
        other = reproduce_trial(best_file, silent_steps, data=tmp_path / "others")
    assert other.changed == ("other clips", "a teacher's head that was fitted again") and not other.identical
    assert "otherwise than at the export: other clips" in caplog.text


@pytest.mark.slow
@pytest.mark.skipif(not SHIPPED.is_dir(), reason="no teacher was shipped")
def test_another_version_is_named(best_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DISTUNE_HOME", str(best_file.parent / "home"))
    tree = yaml.safe_load(best_file.read_text())
    tree["distune"]["packages"] |= {"torch": "1.0.0", "ray": "1.0.0"}
    file = tmp_path / "older.yaml"
    file.write_text(yaml.safe_dump(tree))
    assert reproduce_trial(file, silent_steps).changed == (f"torch 1.0.0, here {versions()['torch']}",)


@pytest.mark.slow
@pytest.mark.skipif(not SHIPPED.is_dir(), reason="no teacher was shipped")
def test_other_clips_and_teacher_that_are_not_there_are_refused_together(
    run: Run, tmp_path: Path, best_file: Path
) -> None:
    done = run("reproduce", str(best_file), "--data", str(tmp_path / "no"), "--teacher", str(tmp_path / "none"))
    assert_refused(done, f"{tmp_path}/none: --teacher: does not exist", f"{tmp_path}/no: --data")
