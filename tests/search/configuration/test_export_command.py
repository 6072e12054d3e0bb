"""``distune export``: which trials it takes, in which forms, what it notes of them, and how two differ."""

import json
from pathlib import Path

import pytest
import yaml

from search.configuration.compare import differences
from search.configuration.forms import is_trial, own_section, read_exported, trial_tree
from search.export import platform_tree
from search.record.results import SweepResults
from spaces.trial import TrialConfig
from tests.search.commands import Run, assert_refused
from tests.search.platform import read_strictly
from trainables.threshold import operating_point


@pytest.fixture
def here(run: Run, in_its_home: Path) -> Run:
    """The command line in the recorded sweep's home, which ``run`` itself sets otherwise."""
    return run


def unconfirmed(results: SweepResults, student: str) -> int:
    """A finished trial that no arm confirms."""
    arms = results.confirmed[student].arms
    return next(t.number for t in results.finished(student) if t.number not in [arm.trial_number for arm in arms])


def test_the_winner_is_exported_with_what_it_came_of(here: Run, results: SweepResults) -> None:
    status, shown, told = here("export", "hey-sirius", "--student", "tiny_conv")
    assert (status, told) == (0, "")
    read_strictly(shown)
    section, best = yaml.safe_load(shown)["distune"], results.to_export("tiny_conv")
    assert best is not None
    assert (section["study"], section["trial_number"]) == ("hey-sirius/tiny_conv/confirm", best.number)
    assert section["seeds"] == section["confirmed"]["seeds"] == [1_000_000, 1_000_001, 1_000_002]
    assert (section["data"]["fingerprint"], section["teacher"]["fingerprint"]) == ("c1", "t1/h1")
    assert section["confirmed"]["val_pauc"]["n"] == 3
    assert {"mean", "low", "high", "n"} == set(section["confirmed"]["gain_over_no_distillation"]["test_pauc"])


def test_the_operating_threshold_is_that_of_the_run_that_ships(here: Run, results: SweepResults) -> None:
    import numpy as np

    best = results.to_export("tiny_conv")
    assert best and best.arm and results.folder
    number = best.arm.numbers[best.config.seed]
    kept = dict(np.load(results.folder.confirmed_run("tiny_conv", number) / "scores.npz"))
    found = yaml.safe_load(here("export", "hey-sirius", "--student", "tiny_conv").shown)["distune"]
    wanted = operating_point(**kept, fpr=0.01)
    assert found["operating_threshold"]["threshold"] == wanted.threshold
    assert found["operating_threshold"]["val_fpr"] <= 0.01
    assert found["operating_threshold"]["rule"] == (
        "the lowest above which at most 1 % of the validation negatives lie"
    )


def test_no_password_of_the_tracking_server_is_written(here: Run) -> None:
    for form in ("platform", "trial", "json"):
        shown = here("export", "hey-sirius", "--format", form).shown
        assert "cret" not in shown and "postgresql://db:5432/runs" in shown


def test_one_trial_by_its_number(here: Run, results: SweepResults) -> None:
    number = unconfirmed(results, "tiny_conv")
    shown = here("export", "hey-sirius", "--student", "tiny_conv", "--trial", str(number)).shown
    section = yaml.safe_load(shown)["distune"]
    assert (section["trial_number"], section["study"]) == (number, "hey-sirius/tiny_conv")
    assert (section["confirmed"], section["operating_threshold"]) == (None, None)
    assert "not confirmed." in shown


def test_a_number_that_several_students_have_or_none_is_refused(here: Run, results: SweepResults) -> None:
    both = {t.number for t in results.finished("tiny_conv")} & {t.number for t in results.finished("mobilenetv3")}
    told = "is a trial of several students; choose one of tiny_conv, mobilenetv3 with --student"
    assert_refused(here("export", "hey-sirius", "--trial", str(min(both))), told)
    told = "command line: --trial = 99: is no trial of tiny_conv that ran to its end; those that did: "
    assert_refused(here("export", "hey-sirius", "--student", "tiny_conv", "--trial", "99"), told)


def test_pareto_without_a_folder_beside_one_trial_and_a_comparison_is_refused_all_at_once(
    here: Run, tmp_path: Path
) -> None:
    missing = tmp_path / "missing.yaml"
    done = here("export", "hey-sirius", "--pareto", "--trial", "1", "--compare", str(missing))
    faults = ["--trial = 1: contradicts --pareto", "--compare", "--pareto: is several files", "missing.yaml: cannot"]
    status, shown, told = done
    assert (status, shown) == (2, "")
    assert all(fault in told for fault in faults), told


def test_the_same_trial_in_three_forms_reads_as_the_same_trial(here: Run, tmp_path: Path) -> None:
    trials = []
    for form, name in (("platform", "a.yaml"), ("trial", "b.yaml"), ("json", "c.json")):
        file = tmp_path / name
        assert here("export", "hey-sirius", "--format", form, "-o", str(file)).status == 0
        tree = read_exported(file)
        assert is_trial(tree) == (form == "trial")
        trials.append(TrialConfig.model_validate(own_section(tree, file)["trial"]))
    assert trials[0] == trials[1] == trials[2]
    assert json.loads((tmp_path / "c.json").read_text()) == yaml.safe_load((tmp_path / "a.yaml").read_text())


def test_a_trial_is_alike_in_all_forms_and_unlike_another_by_its_keys(results: SweepResults) -> None:
    best = results.to_export("tiny_conv")
    other = results.trial("tiny_conv", unconfirmed(results, "tiny_conv"))
    assert best and other
    assert differences(platform_tree(results, best), trial_tree(results, best)) == []
    found = {
        row.key: (row.here, row.there) for row in differences(platform_tree(results, best), trial_tree(results, other))
    }
    ours, theirs = best.config.flat(), other.config.flat()
    changed = {key for key in ours if ours[key] != theirs[key]}
    assert changed and changed == {key for key in found if not key.startswith("distune.")}
    assert found["distune.trial_number"] == (str(best.number), str(other.number))
    assert not any(key.startswith("distune.sweep.budget") for key in found)


def test_a_file_of_the_platforms_own_is_compared_with_its_defaults_where_it_leaves_keys_out(
    here: Run, tmp_path: Path
) -> None:
    file = tmp_path / "theirs.yaml"
    file.write_text("training: {batch_size: 32, epochs: 10}\noptimizer: {warmup_epochs: 2}")
    status, shown, _ = here("export", "hey-sirius", "--student", "tiny_conv", "--compare", str(file))
    rows = {line.split()[0]: line for line in shown.splitlines() if line}
    assert status == 0 and "training.batch_size" not in rows and "optimizer.warmup_epochs" not in rows
    assert "distune" not in shown
    assert "cmvn.enabled" not in shown  # left out of both


def test_with_an_output_both_the_file_and_the_differences_are_made(here: Run, tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    here("export", "hey-sirius", "-o", str(first))
    status, shown, _ = here("export", "hey-sirius", "--compare", str(first), "-o", str(second))
    assert status == 0 and second.read_text() == first.read_text()
    assert "are alike" in shown.splitlines()[-1]


def test_the_front_is_a_folder_of_files_one_a_trial(here: Run, results: SweepResults, tmp_path: Path) -> None:
    folder = tmp_path / "front"
    status, shown, _ = here("export", "hey-sirius", "--pareto", "-o", str(folder))
    wanted = [f"{point.student}-{point.number:03d}.yaml" for point in results.front()]
    assert status == 0 and len(wanted) > 1 and sorted(file.name for file in folder.iterdir()) == sorted(wanted)
    assert [line.rpartition("/")[2] for line in shown.splitlines()] == wanted
    for point in results.front():
        tree = yaml.safe_load((folder / f"{point.student}-{point.number:03d}.yaml").read_text())
        assert (tree["distune"]["student"], tree["distune"]["trial_number"]) == (point.student, point.number)
    told = f"command line: --output = '{folder}': is not empty; choose a folder that does not exist yet"
    assert_refused(here("export", "hey-sirius", "--pareto", "-o", str(folder)), told)
    alone = here("export", "hey-sirius", "--pareto", "--student", "tiny_conv", "-o", str(tmp_path / "own"))
    assert all(line.startswith("tiny_conv, trial ") for line in alone.shown.splitlines())
