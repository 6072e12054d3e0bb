"""Temperature and learning rate, by hand."""

from math import cos, pi, sqrt

import pytest

from spaces.trial import Distillation, Optimizer
from trainables.schedules import learning_rate_at, temperature_at


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        ("fixed", [4, 4, 4, 4]),
        ("linear_decay", [4, 4 - 3 / 4, 4 - 3 / 2, 4 - 9 / 4]),
        ("exponential_decay", [4, 4**0.75, 2, sqrt(2)]),
    ],
)
def test_temperature_over_four_epochs_from_4(scheduler, expected):
    settings = Distillation(temperature=4, temperature_scheduler=scheduler)
    assert [temperature_at(epoch, 4, settings) for epoch in range(4)] == pytest.approx(expected)


@pytest.mark.parametrize("scheduler", ["fixed", "linear_decay", "exponential_decay"])
@pytest.mark.parametrize("temperature", [1, 1.5, 10])
def test_temperature_never_falls_under_one(scheduler, temperature):
    settings = Distillation(temperature=temperature, temperature_scheduler=scheduler)
    assert min(temperature_at(epoch, 7, settings) for epoch in range(8)) >= 1


def rates(n_steps: int, **settings: object) -> list[float]:
    optimizer = Optimizer(**settings)
    return [learning_rate_at(step, 2, 5, 1.0, optimizer) for step in range(n_steps)]


def test_warm_up_rises_step_by_step_and_cosine_ends_at_min_lr_on_the_last_step():
    # Five epochs of two steps, two of them warm-up: six cosine steps have five intervals.
    found = rates(10, warmup_epochs=2, min_lr=0.2)
    assert found[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert found[4:] == pytest.approx([0.2 + 0.8 * (1 + cos(pi * i / 5)) / 2 for i in range(6)])
    assert found[4] == pytest.approx(1.0) and found[9] == pytest.approx(0.2)


def test_without_a_scheduler_the_rate_stays_after_warm_up():
    assert rates(5, warmup_epochs=1, scheduler="none") == pytest.approx([0.5, 1, 1, 1, 1])


def test_a_min_lr_above_the_peak_does_not_raise_the_rate():
    assert max(rates(10, warmup_epochs=0, min_lr=5.0)) == pytest.approx(1.0)
