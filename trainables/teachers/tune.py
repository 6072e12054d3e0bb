"""Training a teacher from clips: unfreezing its last blocks, or a Conformer from scratch."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from spaces.errors import COMMAND_LINE, Fault, InputError
from trainables.teachers.base import Encoder, Pooled, Teacher, encode_clips
from trainables.teachers.conformer import ConformerConfig, ConformerEncoder
from trainables.teachers.fit import linear_head, probe_mix
from trainables.teachers.head import LinearHead, one_layer
from trainables.teachers.linear import Floats, balanced_loss, calibration


class Clips(NamedTuple):
    """Clips in memory.

    waveforms: (n, views, 24000), view 0 clean, any float type. labels: (n,) class indices.
    """

    waveforms: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Recipe:
    """How to train; learning_rate is AdamW's at its peak, under a cosine over all steps after 10 % of warm-up."""

    epochs: int = 5
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    batch_size: int = 16
    gradient_clip: float = 1.0
    seed: int = 0


FINE_TUNING = Recipe()
FROM_SCRATCH = Recipe(epochs=20, learning_rate=1e-3, batch_size=32)

OnEpoch = Callable[[int, float, float], None]


def fine_tune(
    teacher: Teacher,
    train: Clips,
    val: Clips,
    unfreeze: int,
    recipe: Recipe = FINE_TUNING,
    on_epoch: OnEpoch | None = None,
) -> Teacher:
    """A copy of the teacher whose encoders' last ``unfreeze`` blocks were trained with a head on the last layer.

    The head is fitted first and the blocks follow, because a random head's gradients distort what
    the encoder knows (Kumar et al. 2022, https://arxiv.org/abs/2202.10054). The epoch with the lowest
    validation loss is kept, the untouched encoder counting as one, so tuning never makes it worse there.

    Args:
        on_epoch: called with epoch from 1, training loss and validation loss (both balanced, nats).

    Raises:
        InputError: the encoder has fewer blocks than ``unfreeze``.
        ValueError: training diverged.
    """
    for name, member in teacher.members.items():
        if not 1 <= unfreeze <= len(member.blocks):
            remedy = f"the {name} teacher has {len(member.blocks)} blocks; unfreeze 1 to {len(member.blocks)} of them"
            raise InputError(Fault(COMMAND_LINE, "--unfreeze", unfreeze, remedy))
    members, heads = {}, {}
    for name, member in teacher.members.items():
        encoder = copy.deepcopy(member).requires_grad_(False)
        single = Teacher({name: encoder})
        pooled = [Pooled(encode_clips(single, clips.waveforms[:, 0]), clips.labels) for clips in (train, val)]
        last = one_layer(encoder.n_layers - 1, encoder.n_layers)
        head = linear_head(last, probe_mix(last, name, *pooled))
        trained = encoder.blocks[-unfreeze:].requires_grad_(True)
        _train(encoder, head, trained, train, val, recipe, on_epoch)
        members[name], heads[name] = encoder.requires_grad_(False), head
    return Teacher(members, heads, teacher.mixing)


def fit_conformer(
    train: Clips,
    val: Clips,
    config: ConformerConfig | None = None,
    recipe: Recipe = FROM_SCRATCH,
    on_epoch: OnEpoch | None = None,
    device: str = "cpu",
) -> Teacher:
    """A Conformer teacher trained from scratch on the clips, each epoch hearing one view of each.

    Raises:
        ValueError: training diverged.
    """
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        encoder = ConformerEncoder(config or ConformerConfig())
        linear = nn.Linear(encoder.dim, 2)
    head = LinearHead(one_layer(encoder.n_layers - 1, encoder.n_layers), linear.weight.detach(), linear.bias.detach())
    _train(encoder.to(device), head, encoder, train, val, recipe, on_epoch)
    return Teacher({encoder.name: encoder.requires_grad_(False)}, {encoder.name: head})


def _train(
    encoder: Encoder,
    head: LinearHead,
    trained: nn.Module,
    train: Clips,
    val: Clips,
    recipe: Recipe,
    on_epoch: OnEpoch | None,
) -> None:
    """Train ``trained``, a part of the encoder, with the head; leave both at their best epoch, calibrated."""
    both = nn.ModuleList([encoder, head.to(encoder.device).requires_grad_(True)])
    optimizer, schedule = _optimizer([*trained.parameters(), *head.parameters()], len(train.labels), recipe)
    class_weights = _class_weights(train.labels).to(encoder.device)
    generator = torch.Generator().manual_seed(recipe.seed)
    best_loss, best = _validation_loss(encoder, head, val), copy.deepcopy(both.state_dict())
    with torch.random.fork_rng():
        # For dropout; the generator draws order and views.
        torch.manual_seed(recipe.seed)
        for epoch in range(1, recipe.epochs + 1):
            # Only what is trained drops activations and moves its batch statistics.
            encoder.eval()
            trained.train()
            batches = _one_view_each(train, recipe.batch_size, generator)
            train_loss = _train_epoch(both, batches, class_weights, optimizer, schedule, recipe)
            val_loss = _validation_loss(encoder, head, val)
            if not (math.isfinite(train_loss) and math.isfinite(val_loss)):
                raise ValueError(f"training the {encoder.name} teacher diverged in epoch {epoch}; lower learning_rate")
            if on_epoch:
                on_epoch(epoch, train_loss, val_loss)
            if val_loss < best_loss:
                best_loss, best = val_loss, copy.deepcopy(both.state_dict())
    both.load_state_dict(best)
    head.cpu().requires_grad_(False)
    _calibrate(encoder, head, val)


def _optimizer(
    parameters: list[nn.Parameter], n_clips: int, recipe: Recipe
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    n_steps = recipe.epochs * math.ceil(n_clips / recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=n_steps, pct_start=0.1)
    return optimizer, schedule


def _train_epoch(
    both: nn.ModuleList,
    batches: Iterator[tuple[Tensor, Tensor]],
    class_weights: Tensor,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    recipe: Recipe,
) -> float:
    encoder, head = both
    device, losses = class_weights.device, []
    for waveform, labels in batches:
        logits = head(encoder(waveform.to(device)))
        loss = nn.functional.cross_entropy(logits, labels.to(device), weight=class_weights)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(both.parameters(), recipe.gradient_clip)
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
    return float(torch.stack(losses).mean())


def _one_view_each(clips: Clips, batch_size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Every clip once in random order, each in a random view: (batch, 24000) and (batch,)."""
    n_clips, n_views = clips.waveforms.shape[:2]
    views = torch.randint(n_views, (n_clips,), generator=generator)
    for chunk in torch.randperm(n_clips, generator=generator).split(batch_size):
        yield clips.waveforms[chunk, views[chunk]].float(), clips.labels[chunk]


def _class_weights(labels: Tensor) -> Tensor:
    """(2,), n / (2 n_c), so that both classes weigh alike."""
    return len(labels) / (2 * torch.bincount(labels, minlength=2)).float()


def _score(encoder: Encoder, head: LinearHead, clips: Clips) -> Floats:
    """Log-odds of the wake word on the clean clips, (n,)."""
    states = encode_clips(Teacher({encoder.name: encoder}), clips.waveforms[:, 0])[encoder.name]
    with torch.no_grad():
        logits = head(states.to(head.weight.device)).cpu()
    return (logits[:, 1] - logits[:, 0]).numpy().astype(np.float64)


def _validation_loss(encoder: Encoder, head: LinearHead, val: Clips) -> float:
    return balanced_loss(_score(encoder, head, val), val.labels.numpy())


def _calibrate(encoder: Encoder, head: LinearHead, val: Clips) -> None:
    factor = calibration(_score(encoder, head, val), val.labels.numpy())
    with torch.no_grad():
        head.weight.mul_(factor)
        head.bias.mul_(factor)
