"""Fitting a head on pooled states, and the linear probe under it."""

from math import exp, log

import numpy as np
import pytest
import torch

from tests.trainables.teachers.conftest import CONFIGS, random_model
from trainables.metrics import evaluate
from trainables.teachers.base import Pooled, Teacher
from trainables.teachers.fit import fit_head
from trainables.teachers.linear import balanced_loss, calibration, fit_probe
from trainables.teachers.wav2vec2 import Wav2Vec2Encoder

N_LAYERS, DIM = 4, 64


def pooled(telling: dict[int, float], n_clips: int = 200, seed: int = 0) -> Pooled:
    """Noise, with the label at feature 5 of the layers in ``telling``, that many sd apart; one wake word in four."""
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.arange(n_clips) % 4 == 0).long()
    states = torch.randn(n_clips, N_LAYERS, DIM, generator=generator)
    for layer, distance in telling.items():
        states[:, layer, 5] += distance * labels
    # Scales and offsets that a probe must see through.
    return Pooled({"wav2vec2": 10 * states + 100}, labels)


@pytest.fixture
def teacher() -> Teacher:
    return Teacher({"wav2vec2": Wav2Vec2Encoder(random_model(CONFIGS["wav2vec2"]), normalise=True)})


@pytest.mark.parametrize("layer", range(N_LAYERS))
def test_the_layer_that_knows_the_wake_word_is_chosen(teacher, layer):
    splits = [pooled({layer: 6.0}, seed=seed) for seed in (0, 1, 2)]
    fitted = fit_head(teacher, splits[0], splits[1])
    assert fitted.fitted
    assert fitted.heads["wav2vec2"].layer_weights.tolist() == [float(other == layer) for other in range(N_LAYERS)]
    scores = fitted.classify(splits[2].states).numpy()
    assert evaluate(scores, splits[2].labels.numpy(), fpr=0.01, false_accepts_per_hour=0.5)["f1"] > 0.9


def test_where_every_layer_knows_a_little_all_are_averaged(teacher):
    telling = dict.fromkeys(range(N_LAYERS), 2.0)
    fitted = fit_head(teacher, pooled(telling, seed=0), pooled(telling, seed=1))
    assert fitted.heads["wav2vec2"].layer_weights.tolist() == [0.25] * N_LAYERS


def test_fitting_leaves_the_given_teacher_unfitted_and_repeats_exactly(teacher):
    train, val = pooled({2: 3.0}, seed=0), pooled({2: 3.0}, seed=1)
    first, second = fit_head(teacher, train, val), fit_head(teacher, train, val)
    assert not teacher.fitted
    assert first.head_fingerprint == second.head_fingerprint


def test_a_split_of_one_class_cannot_be_fitted(teacher):
    train = pooled({0: 1.0})
    with pytest.raises(ValueError, match="validation clips are of one class"):
        fit_head(teacher, train, train._replace(labels=torch.zeros_like(train.labels)))


def test_the_balanced_loss_counts_both_classes_alike():
    score = np.array([log(3), 0.0, 0.0, 0.0])  # probabilities 3/4, 1/2, 1/2, 1/2
    loss = balanced_loss(score, np.array([1, 0, 0, 0]))
    assert loss == pytest.approx((log(4 / 3) + log(2)) / 2)


def test_calibration_meets_platts_targets_where_the_classes_are_told_apart():
    labels = np.array([1] * 10 + [0] * 10)
    score = np.where(labels == 1, 2.0, -2.0)
    # Targets 11/12 and 1/12 are log-odds of ±ln 11.
    assert calibration(score, labels) == pytest.approx(log(11) / 2, rel=1e-3)


def test_calibration_softens_scores_that_are_surer_than_they_are_right():
    labels = np.array([1, 1, 1, 0] * 100 + [0, 0, 0, 1] * 100)
    score = np.repeat([8.0, -8.0], 400)  # right three times in four
    factor = calibration(score, labels)
    assert 1 / (1 + exp(-8 * factor)) == pytest.approx(0.75, abs=0.005)


def test_a_probe_of_clips_told_apart_wholly_stays_modest():
    states, labels = pooled({0: 50.0}).states["wav2vec2"][:, 0].numpy().astype(np.float64), pooled({}).labels.numpy()
    probe = fit_probe(states, labels, states, labels)
    # Platt's targets with 50 wake words: 51/52, log-odds ln 51.
    assert np.median(probe.score(states)[labels == 1]) == pytest.approx(log(51), rel=0.2)


def test_a_feature_that_never_changes_does_no_harm():
    states, labels = pooled({0: 6.0}).states["wav2vec2"][:, 0].numpy().astype(np.float64), pooled({}).labels.numpy()
    states[:, 7] = 3.0
    probe = fit_probe(states, labels, states, labels)
    assert np.isfinite(probe.weight).all()
    assert probe.loss < 0.2
