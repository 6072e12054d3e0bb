"""What mattered, and alarms, as the terminal shows them."""

import dataclasses
import io

import pytest
from rich.console import Console

from search.home import SweepFolder
from search.record.results import SweepResults
from search.record.states import TrialState
from search.screen.insight import print_alarms, print_insight
from tests.search.insight.drawn import drawn, reported


@pytest.fixture(params=[80, 120], ids="{} columns".format)
def shown(request, tmp_path, recorded):
    """What a printing function shows of tiny_conv's trials, read from their journal, its wrapped lines joined."""

    def show(print_part, trials, teacher_f1=0.9) -> str:
        folder = SweepFolder(tmp_path / print_part.__name__)
        sweep = dataclasses.replace(recorded, folder=folder, students=("tiny_conv",))
        record = sweep.open()
        record.studies["tiny_conv"].add_trials(trials)
        folder.write(record.sweep, {"teacher_metrics": {"val": {"f1": teacher_f1, "pauc": 2.0}}})
        screen = io.StringIO()
        console = Console(file=screen, width=request.param, soft_wrap=True, highlight=False, markup=False)
        print_part(SweepResults.read(folder), console)
        lines = screen.getvalue().splitlines()
        assert len(lines) <= 12 and all(len(line) <= request.param for line in lines)
        return " ".join(screen.getvalue().split())

    return show


def with_layer_three(config):
    """A third of the trials, the worst, are stopped after the first of three epochs."""
    value = 0.5 + 0.3 * (3 in config.distillation.aligned) - 0.2 * config.distillation.alpha
    return [value, value + 0.1, value + 0.2]


def stopped(trials):
    """Every third trial as early stopping leaves it."""
    for trial in trials[::3]:
        trial.state, trial.values = TrialState.PRUNED.optuna, None
        trial.intermediate_values = {1: trial.intermediate_values[1]}
    return trials


def test_what_mattered_is_told_by_trials_at_equal_epochs(shown):
    text = shown(print_insight, stopped(drawn(with_layer_three, 60)))
    assert text.startswith("what mattered to tiny_conv, by val_pauc of 60 trials at epoch 1: parameters ")
    assert "distillation.alpha" in text.partition("alpha x temperature")[0]
    assert "teacher layers 3 +0.300 (+0.300 to +0.300); 0, 1, 2, 4, 5, 6 cannot be told from chance" in text
    assert "early stopping rank correlation with the end: epoch 1 1.00 (" in text and "n=40)" in text


def test_an_objective_of_alpha_alone_shows_where_alpha_is_best(shown):
    text = shown(print_insight, drawn(lambda config: [1 - config.distillation.alpha], 40))
    assert "parameters distillation.alpha " in text
    assert "alpha x temperature lowest 0." in text and "at 0.75-1 x" in text and "at 0-0.25 x" in text
    assert "early stopping" not in text  # none was stopped


def test_of_few_trials_it_says_that_they_are_few(shown):
    assert shown(print_insight, [reported(0, [0.5])]) == "what mattered to tiny_conv: too few trials to tell, 1 of 10"


def test_before_a_trial_has_ended_there_is_nothing_to_say(shown):
    running = [reported(0, [0.5], TrialState.RUNNING)]
    assert shown(print_insight, running) == shown(print_alarms, running) == ""


def test_alarms_name_whom_they_concern_and_what_to_do(shown):
    failed = [reported(number, [], TrialState.FAILED) for number in range(3)]
    text = shown(print_alarms, failed, teacher_f1=0.5)
    assert text.startswith("alarms: all the teacher's validation F1 is 0.500, under 0.80: its students learn")
    assert "tiny_conv 3 of 3 trials failed, 3 of them with: no reason was recorded. What they would" in text


def test_a_sweep_without_alarms_says_so(shown):
    assert shown(print_alarms, drawn(lambda _: [0.5], 1)) == "alarms: none"
