import pytest

from search.insight.alpha_temperature import alpha_temperature
from search.insight.comparison import compare
from tests.search.insight.drawn import drawn, reported

ALPHA, TEMPERATURE, ENABLED = "distillation.alpha", "distillation.temperature", "distillation.enabled"


def taught(number, alpha, temperature, value):
    return reported(number, [value], config={ALPHA: alpha, TEMPERATURE: temperature})


def test_a_cell_has_the_mean_and_the_number_of_its_trials():
    trials = [
        taught(0, 0.25, 2.0, 0.5),
        taught(1, 0.45, 3.9, 0.7),
        taught(2, 0.5, 2.0, 0.1),
        taught(3, 0.9, 10.0, 0.2),
        reported(4, [0.4], config={ENABLED: False}),
    ]
    grid = alpha_temperature(compare(trials, maximise=True))
    cells = [(tuple(cell.alpha), tuple(cell.temperature), cell.n_trials, cell.mean) for cell in grid.cells]
    assert cells == [
        ((0.25, 0.5), (2.0, 4.0), 2, pytest.approx(0.6)),
        ((0.5, 0.75), (2.0, 4.0), 1, pytest.approx(0.1)),
        ((0.75, 1.0), (6.0, 10.0), 1, pytest.approx(0.2)),
    ]
    assert (grid.n_without, grid.mean_without) == (1, pytest.approx(0.4))


def test_alignment_without_logits_is_no_cell():
    aligned = {ALPHA: 0.0, "distillation.feature_alignment_enabled": True}
    grid = alpha_temperature(compare([reported(0, [0.4], config=aligned)], maximise=True))
    assert (grid.cells, grid.n_without) == ((), 1)


def test_what_another_parameter_does_is_taken_out_of_the_means():
    """The objective is dropout alone: whoever drew little of it would seem to have the right alpha."""
    grid = alpha_temperature(compare(drawn(lambda config: [1 - config.model.dropout], 60), maximise=True))
    means = [cell.mean for cell in grid.cells]
    assert max(means) == pytest.approx(min(means)) and not grid.told_from_chance


def test_a_grid_that_depends_on_alpha_is_told_from_chance():
    grid = alpha_temperature(compare(drawn(lambda config: [-config.distillation.alpha], 60), maximise=True))
    assert grid.told_from_chance
    assert max(grid.cells, key=lambda cell: cell.mean).alpha == (0.0, 0.25)


def test_without_trials_there_is_no_grid():
    grid = alpha_temperature(compare([], maximise=True))
    assert (grid.cells, grid.n_without, grid.mean_without) == ((), 0, None)
