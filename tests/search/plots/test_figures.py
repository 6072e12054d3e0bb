"""Each figure shows what the record says, as numbers, and tells the same in words."""

from dataclasses import replace

import numpy as np
import pytest

from search.insight.student import insight_of
from search.plots.all import compared, of_student
from search.plots.alpha_temperature import alpha_temperature
from search.plots.coordinates import coordinates
from search.plots.curves import curves
from search.plots.gain import gain
from search.plots.history import history
from search.plots.importance import importance, untold
from search.plots.layers import layers
from search.plots.scores import det, read_scores, roc, scores_files
from search.plots.size import size
from search.record.results import SweepResults
from spaces.sections import Objective
from tests.search.filled import fill, sweep_of
from trainables.metrics import evaluate

STUDENT = "tiny_conv"


def trace(plot, name):
    return next(found for found in plot.figure.data if found.name == name)


def test_the_best_so_far_ends_at_the_best_of_the_record(results):
    plot = history(results, [STUDENT])
    assert trace(plot, f"{STUDENT}, best so far").y[-1] == results.best(STUDENT).objective
    assert trace(plot, f"{STUDENT}, finished").y == tuple(
        max(t.intermediate_values.values()) for t in results.trials[STUDENT] if t in results.finished(STUDENT)
    )
    assert f"reached by trial {results.best(STUDENT).number}" in plot.told


def test_where_less_is_better_the_best_so_far_falls(tmp_path, results):
    sweep = results.sweep.model_copy(update={"objective": Objective(metric="val_eer")})
    so_far = trace(history(replace(results, sweep=sweep), [STUDENT]), f"{STUDENT}, best so far").y
    assert list(so_far) == sorted(so_far, reverse=True)


def test_every_curve_is_drawn_and_early_stopping_marks_its_rungs(results):
    plot = curves(results, STUDENT)
    drawn = {state: trace(plot, state) for state in ("finished", "stopped early")}
    for state, name in (("COMPLETE", "finished"), ("PRUNED", "stopped early")):
        trials = [trial for trial in results.trials[STUDENT] if trial.state.name == state]
        assert sum(y is not None for y in drawn[name].y) == sum(len(trial.intermediate_values) for trial in trials)
        assert sum(size > 0 for size in drawn[name].marker.size) == len(trials)
    stops = {max(t.intermediate_values) for t in results.trials[STUDENT] if t.state.name == "PRUNED"}
    assert {shape.x0 for shape in plot.figure.layout.shapes} == stops
    assert max(y for y in trace(plot, "the best").y if y is not None) == results.best(STUDENT).objective


def test_importances_are_those_of_the_insight(results):
    insight = insight_of(results, STUDENT)
    bars = [pair for found in importance(insight).figure.data for pair in zip(found.y, found.x, strict=True)]
    assert dict(bars) == {one.key: one.share for one in insight.importances}


def test_of_too_few_trials_there_is_no_importance_and_a_sentence_says_why(tmp_path, recorded, end_trial):
    record = recorded.open()
    end_trial(record, STUDENT, [0.5])
    recorded.folder.write(record.sweep, {"teacher_metrics": {}})
    insight = insight_of(SweepResults.read(recorded.folder), STUDENT)
    assert importance(insight) is None and untold(insight) == "Too few trials to tell what mattered: 1 of 10."


def test_every_trial_runs_through_its_own_values_and_leaves_a_gap_where_it_drew_none(results):
    plot = coordinates(results, STUDENT)
    best, rows = trace(plot, "the best"), len(plot.figure.layout.shapes)
    assert len(best.x) == rows + 1 and best.x[0] == 1.0  # a row each, and the end of the line
    assert all(0 <= x <= 1 for found in plot.figure.data for x in found.x if x is not None)
    drawn = next(trial for trial in results.trials[STUDENT] if trial.number == results.best(STUDENT).number).params
    assert sum(x is not None for x in best.x) == len(drawn) + 1
    n_ended = sum(trial.state.is_finished() and bool(trial.intermediate_values) for trial in results.trials[STUDENT])
    assert len(plot.data.rows) == n_ended


def test_the_heat_map_has_the_cells_of_the_insight(results):
    insight = insight_of(results, STUDENT)
    shown = [z for row in alpha_temperature(insight, "pAUC").figure.data[0].z for z in row if z is not None]
    assert sorted(shown) == sorted(cell.mean for cell in insight.alpha_temperature.cells)


def test_a_layer_stands_at_its_effect_within_its_interval():
    from tests.search.insight.drawn import drawn

    trials = drawn(lambda config: [0.5 + 0.3 * (3 in config.distillation.aligned)], 60)
    made = SweepResults(sweep_of(), {}, {STUDENT: trials}, {})
    insight, points = insight_of(made, STUDENT), {}
    for found in layers(insight, "pAUC").figure.data:
        points |= dict(zip(found.x, zip(found.y, found.error_y.array, strict=True), strict=True))
    for one in insight.layers:
        assert points[str(one.layer)] == (one.effect.mean, pytest.approx(one.effect.high - one.effect.mean))
    assert points["3"][0] == pytest.approx(0.3)


def test_gains_are_those_of_the_confirmation_and_told_with_their_interval(results):
    found = results.confirmed[STUDENT]
    one = found.gain(found.winner, found.baseline("no_distillation"), "test_pauc")
    plot = gain(results, [STUDENT])
    mark = plot.figure.data[0]
    assert mark.x == (one.mean,) and mark.error_x.array == (one.high - one.mean,)
    assert mark.marker.symbol == ("circle" if one.told_from_chance else "circle-open")
    assert f"{one.mean:+.3f} (95 % interval {one.low:+.3f} to {one.high:+.3f}, 3 seeds)" in plot.told
    low, high = plot.figure.layout.xaxis.range
    assert low < min(0, one.low) and high > max(0, one.high)


def test_the_ringed_are_the_front_of_all_students(results):
    plot, front = size(results), results.front()
    ringed = trace(plot, "worth their size")
    assert list(ringed.y) == [trial.objective for trial in front]
    assert list(ringed.x) == [trial.size["flash_kb"] for trial in front]


def test_curves_of_scores_have_the_area_that_training_measured(results, folder):
    files = scores_files(results, folder, list(results.sweep.students))
    assert list(files) == [STUDENT], "mobilenetv3 kept none"
    with np.load(files[STUDENT]) as arrays:
        measured = evaluate(arrays["test_scores"], arrays["test_labels"], fpr=0.01, false_accepts_per_hour=0.5)
    scored = read_scores(files)
    assert f"test: pAUC {measured['pauc']:.3f}." in roc(results, scored).told
    told = dict(zip(det(results, scored).data.columns, det(results, scored).data.rows[0], strict=True))
    assert told["clips of"] == "test" and told["EER"] == f"{measured['eer']:.1%}"
    assert told["missed at 1.0% FPR"] == f"{measured['frr_at_fpr']:.1%}"


def test_without_scores_roc_and_det_are_left_out(results):
    assert roc(results, []) is None and det(results, []) is None


def test_every_plot_has_its_words_its_numbers_and_a_name_of_its_own(results, folder):
    plots = [*compared(results, folder, [STUDENT]), *of_student(results, insight_of(results, STUDENT))]
    assert len({plot.name for plot in plots}) == len(plots) > 7
    for plot in plots:
        assert plot.told and plot.reading and plot.data.rows
        assert all(len(row) == len(plot.data.columns) for row in plot.data.rows)
        assert plot.figure.layout.title.text is None, "the page's heading is its title"


def test_a_sweep_that_has_not_begun_has_no_plots(tmp_path):
    from search.home import SweepFolder

    folder = SweepFolder(tmp_path / "empty")
    results = fill(folder, students=(STUDENT,), trials=0, confirming_runs=0)
    assert compared(results, folder, [STUDENT]) == [] == of_student(results, insight_of(results, STUDENT))
