"""Two teachers as one: their logits, mixed clip by clip by how sure each is."""

import math
from typing import Literal

import torch
from torch import Tensor

Mixing = Literal["confidence", "gentle"]
# The platform's; it also bounds the inverse entropy at 1e5.
ENTROPY_FLOOR = 1e-5
# Where every teacher is undecided, the gentle weights would be 0 / 0; with this they are equal.
GENTLE_FLOOR = 1e-6


def mix_logits(logits: Tensor, mixing: Mixing) -> Tensor:
    """(teachers, batch, classes) -> (batch, classes), a weighted mean over teachers."""
    return (mixing_weights(logits, mixing).unsqueeze(-1) * logits).sum(dim=0)


def mixing_weights(logits: Tensor, mixing: Mixing) -> Tensor:
    """(teachers, batch, classes) -> (teachers, batch), summing to 1 over teachers.

    With H a teacher's entropy in nats: ``confidence`` is the platform's softmax of
    ``1 / (H + 1e-5)``, which gives nearly all to the surer teacher; ``gentle`` is proportional
    to ``1 - H / ln(classes)``.
    """
    entropy = torch.special.entr(logits.softmax(dim=-1)).sum(dim=-1)
    if mixing == "confidence":
        return (1 / (entropy + ENTROPY_FLOOR)).softmax(dim=0)
    certainty = (1 - entropy / math.log(logits.shape[-1])).clamp(min=0) + GENTLE_FLOOR
    return certainty / certainty.sum(dim=0)
