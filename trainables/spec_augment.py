"""SpecAugment: masks on the student's log-mel; the teacher hears the view without them."""

import torch
from torch import Tensor

from spaces.trial import Augmentation


def spec_augment(mel: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Mask bands and frames of each clip, its own for each (Park et al. 2019, https://arxiv.org/abs/1904.08779).

    Masked cells become 0, which is the mean of a normalised log-mel.

    Args:
        mel: (batch, 1, mels, frames).
        generator: on the CPU; draws alike whatever device ``mel`` is on.

    Returns:
        A masked copy, or ``mel`` itself where SpecAugment is off.
    """
    if not settings.use_spec_augment:
        return mel
    n_clips, _, n_mels, n_frames = mel.shape
    bands = masked(n_clips, n_mels, settings.freq_mask_param, settings.n_freq_masks, generator)
    frames = masked(n_clips, n_frames, settings.time_mask_param, settings.n_time_masks, generator)
    mask = bands[:, None, :, None] | frames[:, None, None, :]
    return mel.masked_fill(mask.to(mel.device), 0.0)


def masked(n_clips: int, size: int, widest: int, n_masks: int, generator: torch.Generator) -> Tensor:
    """Which of ``size`` positions are under a mask, (n_clips, size) bool.

    Each mask is 0 to ``widest`` long and lies wholly within, both uniformly.
    """
    widths = torch.randint(min(widest, size) + 1, (n_clips, n_masks, 1), generator=generator)
    starts = (torch.rand(n_clips, n_masks, 1, generator=generator) * (size - widths + 1)).long()
    position = torch.arange(size)
    return ((position >= starts) & (position < starts + widths)).any(dim=1)
