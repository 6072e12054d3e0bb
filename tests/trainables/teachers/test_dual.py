"""Two teachers' logits become one, clip by clip."""

from math import exp, log

import pytest
import torch

from trainables.teachers.dual import mix_logits, mixing_weights

SURE = [0.0, log(9)]  # probabilities 1/10, 9/10
UNSURE = [0.0, log(3)]  # probabilities 1/4, 3/4
UNDECIDED = [0.0, 0.0]
H_SURE = -(0.1 * log(0.1) + 0.9 * log(0.9))
H_UNSURE = -(0.25 * log(0.25) + 0.75 * log(0.75))


def test_confidence_weights_are_the_softmax_over_teachers_of_one_over_entropy():
    weights = mixing_weights(torch.tensor([[SURE], [UNSURE]]), "confidence")
    sure, unsure = exp(1 / (H_SURE + 1e-5)), exp(1 / (H_UNSURE + 1e-5))
    assert weights[:, 0].tolist() == pytest.approx([sure / (sure + unsure), unsure / (sure + unsure)], rel=1e-5)


def test_gentle_weights_are_proportional_to_one_minus_normalised_entropy():
    weights = mixing_weights(torch.tensor([[SURE], [UNSURE]]), "gentle")
    sure, unsure = 1 - H_SURE / log(2), 1 - H_UNSURE / log(2)
    assert weights[:, 0].tolist() == pytest.approx([sure / (sure + unsure), unsure / (sure + unsure)], rel=1e-4)


@pytest.mark.parametrize("mixing", ["confidence", "gentle"])
def test_teachers_that_are_both_undecided_share_the_weight(mixing):
    weights = mixing_weights(torch.tensor([[UNDECIDED], [UNDECIDED]]), mixing)
    assert weights[:, 0].tolist() == [0.5, 0.5]


def test_under_confidence_a_certain_teacher_takes_all_the_weight():
    mixed = mix_logits(torch.tensor([[[-40.0, 40.0]], [UNSURE]]), "confidence")
    assert mixed[0].tolist() == [-40.0, 40.0]


def test_under_gentle_an_undecided_teacher_says_next_to_nothing():
    mixed = mix_logits(torch.tensor([[UNDECIDED], [[-40.0, 40.0]]]), "gentle")
    assert mixed[0].tolist() == pytest.approx([-40.0, 40.0], rel=1e-5)


@pytest.mark.parametrize("mixing", ["confidence", "gentle"])
def test_each_clip_is_mixed_on_its_own(mixing):
    logits = torch.tensor([[SURE, UNSURE], [UNSURE, SURE]])
    weights = mixing_weights(logits, mixing)
    assert torch.equal(weights[:, 0], weights[:, 1].flip(0))
    assert weights.sum(dim=0).tolist() == pytest.approx([1.0, 1.0])
    expected = weights[0, 0] * torch.tensor(SURE) + weights[1, 0] * torch.tensor(UNSURE)
    assert torch.allclose(mix_logits(logits, mixing)[0], expected)
