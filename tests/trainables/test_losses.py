"""The loss, term by term, by hand."""

from math import log

import pytest
import torch

from spaces.trial import Distillation, Loss
from trainables.losses import alignment_loss, class_weights, distillation_loss, student_loss, total_loss

ONE_QUARTER = torch.tensor([[0.0, log(3)]])  # softmax: 1/4, 3/4
EVEN = torch.ones(2)
NOT_HARD = torch.tensor([False])


def test_balanced_weights_are_n_over_two_n_c():
    labels = torch.tensor([0] * 6 + [1] * 2)
    assert class_weights(labels, 2, Loss()).tolist() == pytest.approx([8 / 12, 8 / 4])


def test_balanced_weights_are_clipped():
    labels = torch.tensor([0] * 6 + [1] * 2)
    settings = Loss(class_weight_min=0.8, class_weight_max=1.5)
    assert class_weights(labels, 2, settings).tolist() == pytest.approx([0.8, 1.5])


def test_a_class_without_clips_gets_the_largest_weight():
    assert class_weights(torch.tensor([0, 0]), 2, Loss()).tolist() == [0.5, 100.0]


def test_without_class_weights_all_count_alike():
    assert class_weights(torch.tensor([0, 0, 1]), 2, Loss(class_weights="none")).tolist() == [1, 1]


def test_class_and_hard_negative_weights_multiply_and_the_batch_is_averaged():
    logits, labels = torch.zeros(2, 2), torch.tensor([0, 1])  # each costs log 2
    hard, weights = torch.tensor([True, False]), torch.tensor([0.5, 2.0])
    loss = student_loss(logits, labels, hard, weights, Loss(hard_negative_weight=3.0))
    assert loss.item() == pytest.approx((3 * 0.5 + 2) / 2 * log(2))


def test_label_smoothing_spreads_over_both_classes():
    loss = student_loss(ONE_QUARTER, torch.tensor([1]), NOT_HARD, EVEN, Loss(label_smoothing=0.2))
    assert loss.item() == pytest.approx(-0.9 * log(3 / 4) - 0.1 * log(1 / 4))


def test_focal_loss_plays_easy_clips_down():
    settings = Loss(loss_function="focal_loss", focal_gamma=2.0)
    loss = student_loss(ONE_QUARTER, torch.tensor([1]), NOT_HARD, EVEN, settings)
    assert loss.item() == pytest.approx((1 / 4) ** 2 * -log(3 / 4))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.5])
def test_focal_loss_has_a_finite_gradient_on_a_perfect_clip(gamma):
    logits = torch.tensor([[-200.0, 200.0]], requires_grad=True)
    settings = Loss(loss_function="focal_loss", focal_gamma=gamma)
    student_loss(logits, torch.tensor([1]), NOT_HARD, EVEN, settings).backward()
    assert logits.grad.isfinite().all()


def test_the_teacher_term_is_scaled_by_temperature_squared():
    student = torch.zeros(1, 2)  # softened: 1/2, 1/2
    teacher = torch.tensor([[0.0, 2 * log(3)]])  # softened: 1/4, 3/4
    kl = 1 / 4 * log(1 / 2) + 3 / 4 * log(3 / 2)
    assert distillation_loss(student, teacher, 2.0).item() == pytest.approx(2**2 * kl)


def test_the_teacher_term_is_averaged_over_the_batch_not_over_classes():
    one = distillation_loss(torch.zeros(1, 2), ONE_QUARTER, 1.0)
    four = distillation_loss(torch.zeros(4, 2), ONE_QUARTER.expand(4, 2), 1.0)
    assert one.item() == pytest.approx(four.item()) == pytest.approx(1 / 4 * log(1 / 2) + 3 / 4 * log(3 / 2))


def test_other_classes_than_the_teachers_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 3\).*\(4, 2\)"):
        distillation_loss(torch.zeros(4, 3), torch.zeros(4, 2), 1.0)


def test_alignment_is_a_mean_over_pairs_of_means_over_tensors():
    # Errors 1 and 4 from the two layers of one teacher, 4 from the other's one: (1 + 4 + 4) / 3.
    hidden = {"wide": torch.zeros(2, 5, 8), "narrow": torch.zeros(1, 5, 3)}
    projected = {"wide": torch.stack([torch.ones(5, 8), 2 * torch.ones(5, 8)]), "narrow": 2 * torch.ones(1, 5, 3)}
    assert alignment_loss(projected, hidden).item() == pytest.approx(3)


def test_the_total_weighs_each_term_exactly():
    terms = {"student": torch.tensor(2.0), "distillation": torch.tensor(8.0), "alignment": torch.tensor(16.0)}
    settings = Distillation(alpha=0.25, feature_alignment_enabled=True, feature_alignment_weight=0.5)
    assert total_loss(terms, settings).item() == 0.75 * 2 + 0.25 * 8 + 0.5 * 16


def test_without_distillation_alpha_does_not_shrink_the_label_loss():
    assert total_loss({"student": torch.tensor(2.0)}, Distillation(enabled=False, alpha=0.9)).item() == 2
