from math import sqrt

import numpy as np
import pytest

from search.insight.regression import adjusted, effects

NOTHING = np.empty((8, 0))
HALF = np.array([0.0] * 4 + [1.0] * 4)
VALUES = np.array([0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0])


def test_of_one_indicator_alone_the_effect_is_the_difference_of_means_with_students_interval():
    [effect] = effects(HALF[:, None], NOTHING, VALUES)
    # Means 0.5 and 2.5; the pooled variance is 8 * 0.25 / 6, and t at 0.975 on 6 degrees of freedom is 2.4469.
    half = 2.4469 * sqrt(1 / 3 * (1 / 4 + 1 / 4))
    assert effect.mean == pytest.approx(2)
    assert (effect.low, effect.high) == pytest.approx((2 - half, 2 + half), abs=1e-4)
    assert effect.told_from_chance


def test_intervals_of_several_indicators_hold_together():
    other = np.array([0.0, 1.0] * 4)  # balanced in both halves, and it explains nothing
    effect, nothing = effects(np.column_stack([HALF, other]), NOTHING, VALUES)
    half = 3.1634 * sqrt(2 / 5 * (1 / 4 + 1 / 4))  # t at 1 - 0.025 / 2 on 5 degrees of freedom
    assert effect.high - effect.mean == pytest.approx(half, abs=1e-4)
    assert nothing.mean == pytest.approx(0) and not nothing.told_from_chance


def test_what_is_held_takes_no_credit_and_gives_none():
    held = np.arange(8.0)
    [effect] = effects(HALF[:, None], held[:, None], 3 * held)
    assert effect.mean == pytest.approx(0, abs=1e-9)
    [effect] = effects(HALF[:, None], held[:, None], 3 * held + 0.1 * HALF)
    assert effect.mean == pytest.approx(0.1)


def test_indicators_that_always_go_together_cannot_be_separated():
    other = np.array([0.0, 1.0] * 4)
    first, second, alone = effects(np.column_stack([HALF, HALF, other]), NOTHING, VALUES)
    assert (first, second) == (None, None) and alone is not None


def test_an_indicator_that_never_varies_has_no_effect_to_tell():
    assert effects(np.ones((8, 1)), NOTHING, VALUES) == [None]


def test_of_few_trials_beyond_the_columns_no_effect_is_told():
    held = np.random.default_rng(0).random((8, 2))  # with indicator and intercept, 4 columns
    assert effects(HALF[:, None], held, VALUES) == [None]


def test_adjusted_values_keep_their_mean_and_lose_what_is_held():
    held = np.arange(8.0)
    assert adjusted(held[:, None], 3 * held + 1) == pytest.approx([11.5] * 8)
    assert adjusted(NOTHING, VALUES) == pytest.approx(VALUES)


def test_values_of_too_few_trials_are_left_as_they_are():
    held = np.random.default_rng(0).random((8, 3))
    assert adjusted(held, VALUES).tolist() == VALUES.tolist()
