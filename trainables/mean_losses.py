"""What an epoch's losses come to, and which knob to turn where one is not finite."""

from collections.abc import Sequence
from math import isfinite

import torch
from torch import Tensor

from spaces.trial import TrialConfig

LEARNING_RATE = "training.learning_rate"
KNOBS = {
    "student_loss": LEARNING_RATE,
    "distillation_loss": "distillation.temperature",
    "alignment_loss": "distillation.feature_alignment_weight",
}
"""What to lower when a term is not finite, beside the learning rate."""


class NonFiniteLossError(FloatingPointError):
    """A loss was NaN or infinite: the trial failed."""


def mean_losses(
    losses: list[Tensor], sizes: Sequence[int], terms: Sequence[str], config: TrialConfig, epoch: int, part: str
) -> dict[str, float]:
    """Means over clips of the total, as ``loss``, and of each term, as ``TERM_loss``.

    Args:
        losses: a batch each, (1 + terms,), the total first.
        sizes: clips of each batch.
        part: of the epoch, as a message names it.

    Raises:
        NonFiniteLossError: names epoch, step and the knob to turn.
    """
    # Here is the epoch's one wait for the device.
    table = torch.stack(losses).cpu().double()
    names = ["loss", *(f"{term}_loss" for term in terms)]
    bad = (~table.isfinite()).nonzero()
    if len(bad):
        step = int(bad[0, 0])
        wrong = [name for name, value in zip(names, table[step].tolist(), strict=True) if not isfinite(value)]
        where = f"epoch {epoch}, step {step + 1} of {len(losses)} of {part}"
        raise NonFiniteLossError(f"{', '.join(wrong)} not finite in {where}; lower {_knobs(wrong, config)}")
    weights = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
    return dict(zip(names, (weights @ table).tolist(), strict=True))


def _knobs(wrong: Sequence[str], config: TrialConfig) -> str:
    """What to lower, and from where. A rate too high spoils every term; one that is alone has a knob of its own."""
    knobs = dict.fromkeys([LEARNING_RATE, *(KNOBS[name] for name in wrong if name in KNOBS)])
    flat = config.flat()
    return " or ".join(f"{knob} (now {flat[knob]:g})" for knob in knobs)
