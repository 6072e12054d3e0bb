"""What a student learns from: labels, a teacher's logits and a teacher's hidden states."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from spaces.trial import Distillation, Loss

SMALLEST_MISS = 1e-6


def class_weights(labels: Tensor, n_classes: int, settings: Loss) -> Tensor:
    """Weight of each class, (classes,) float32.

    ``balanced``: ``clip(N / (classes * n_c), min, max)``, the platform's, whose mean over the clips is 1
    where nothing is clipped.

    Args:
        labels: (clips,), all training labels.
    """
    if settings.class_weights == "none":
        return torch.ones(n_classes)
    counts = torch.bincount(labels, minlength=n_classes)
    weights = len(labels) / (n_classes * counts.float())  # infinite for a class without clips, then clipped
    return weights.clamp(settings.class_weight_min, settings.class_weight_max)


def student_loss(logits: Tensor, labels: Tensor, hard: Tensor, weights: Tensor, settings: Loss) -> Tensor:
    """The loss on labels: cross-entropy or focal loss (Lin et al. 2017, https://arxiv.org/abs/1708.02002).

    The mean over the batch of ``class weight * hard-negative weight * loss``. It is not divided by the
    sum of weights, so that a batch short of one class does not count for more. Label smoothing belongs
    to cross-entropy; focal loss ignores it, as on the platform.

    Args:
        logits: (batch, classes).
        labels: (batch,) class indices.
        hard: (batch,) bool, hard negatives.
        weights: (classes,), from :func:`class_weights`.

    Returns:
        Scalar, in nats.
    """
    if settings.loss_function == "focal_loss":
        per_clip = F.cross_entropy(logits, labels, reduction="none")
        # Kept above 0: a gamma under 1 has an infinite slope there.
        miss = torch.expm1(-per_clip).neg().clamp_min(SMALLEST_MISS)
        per_clip = miss**settings.focal_gamma * per_clip
    else:
        per_clip = F.cross_entropy(logits, labels, reduction="none", label_smoothing=settings.label_smoothing)
    emphasis = torch.where(hard, settings.hard_negative_weight, 1.0)
    return (weights[labels] * emphasis * per_clip).mean()


def distillation_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """``temperature**2 * KL(teacher || student)`` of the softened logits.

    The square keeps the gradient on the scale of the label loss (Hinton et al. 2015, section 2,
    https://arxiv.org/abs/1503.02531).

    Args:
        student_logits: (batch, classes).
        teacher_logits: (batch, classes), without gradient.
        temperature: 1 or more, no unit.

    Returns:
        Scalar, summed over classes and averaged over the batch, in nats.

    Raises:
        ValueError: the two models disagree on shape.
    """
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(
            f"student logits {tuple(student_logits.shape)} and teacher logits {tuple(teacher_logits.shape)} "
            "differ; give both models the same classes"
        )
    divergence = F.kl_div(
        F.log_softmax(student_logits / temperature, dim=-1),
        F.log_softmax(teacher_logits / temperature, dim=-1),
        reduction="batchmean",
        log_target=True,
    )
    return temperature**2 * divergence


def alignment_loss(projected: Mapping[str, Tensor], hidden: Mapping[str, Tensor]) -> Tensor:
    """Mean over (teacher, layer) pairs of the mean squared error.

    The platform sums over pairs; the mean keeps one weight's meaning for any number of layers.

    Args:
        projected: per teacher (layers, batch, dim).
        hidden: the same, without gradient, divided by the teacher's RMS.

    Returns:
        Scalar, in units of the teacher's mean square.
    """
    # A teacher's layers have one size, so the mean over them all is the mean of their means.
    sums = [len(layers) * F.mse_loss(layers.float(), hidden[teacher]) for teacher, layers in projected.items()]
    return torch.stack(sums).sum() / sum(map(len, projected.values()))


def total_loss(terms: Mapping[str, Tensor], distillation: Distillation) -> Tensor:
    """``(1 - alpha) * student + alpha * distillation + weight * alignment``, the terms that there are.

    Without distillation it is the student's loss alone, whatever alpha says.

    Args:
        terms: scalars under ``student``, ``distillation``, ``alignment``.
    """
    if "distillation" not in terms:
        return terms["student"]
    total = (1 - distillation.alpha) * terms["student"] + distillation.alpha * terms["distillation"]
    if "alignment" in terms:
        total = total + distillation.feature_alignment_weight * terms["alignment"]
    return total
