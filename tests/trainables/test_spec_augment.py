"""SpecAugment's masks."""

import torch

from spaces.trial import Augmentation
from trainables.spec_augment import masked, spec_augment


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_mask_is_one_stretch_no_wider_than_asked_and_of_every_width():
    found = masked(4000, 20, 6, 1, seeded())
    edges = found.diff(dim=1, prepend=torch.zeros(4000, 1, dtype=torch.bool), append=torch.zeros(4000, 1).bool())
    assert edges.sum(1).max() == 2  # one rise and one fall: a single stretch within the clip
    assert found.sum(1).unique().tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert found.any(0).all()  # the ends are reached too


def test_masked_bands_and_frames_are_zero_and_the_rest_is_untouched():
    mel = torch.randn(8, 1, 64, 151) + 10
    settings = Augmentation(freq_mask_param=8, time_mask_param=15, n_freq_masks=2, n_time_masks=2)
    found = spec_augment(mel, settings, seeded())
    hidden = found == 0
    assert torch.equal(found[~hidden], mel[~hidden])
    bands, frames = hidden.all(3)[:, 0], hidden.all(2)[:, 0]
    assert torch.equal(hidden[:, 0], bands[:, :, None] | frames[:, None, :])
    assert 0 < bands.sum(1).max() <= 16 and 0 < frames.sum(1).max() <= 30


def test_clips_of_a_batch_are_masked_differently_and_the_same_seed_masks_alike():
    mel = torch.ones(16, 1, 64, 151)
    first, again, other = (spec_augment(mel, Augmentation(), seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert len(first.unique(dim=0)) > 10


def test_it_can_be_off_or_without_masks():
    mel = torch.randn(2, 1, 64, 151)
    assert spec_augment(mel, Augmentation(use_spec_augment=False), seeded()) is mel
    assert torch.equal(spec_augment(mel, Augmentation(n_freq_masks=0, n_time_masks=0), seeded()), mel)
    assert torch.equal(spec_augment(mel, Augmentation(freq_mask_param=0, time_mask_param=0), seeded()), mel)
