"""Fitting a teacher's head on pooled hidden states, in seconds."""

import numpy as np
import torch
from torch import Tensor

from trainables.teachers.base import Pooled, Teacher
from trainables.teachers.head import LinearHead, all_layers, one_layer
from trainables.teachers.linear import Floats, Probe, fit_probe

ROWS_AT_ONCE = 4096


def fit_head(teacher: Teacher, train: Pooled, val: Pooled) -> Teacher:
    """The teacher with a new linear head on each encoder, replacing any it had.

    Every layer alone and the mean of all layers are tried; that with the lowest balanced log-loss
    on the validation clips is kept.

    Raises:
        ValueError: one class is missing in train or val.
    """
    heads = {}
    for name, member in teacher.members.items():
        mixes = [one_layer(layer, member.n_layers) for layer in range(member.n_layers)]
        mixes.append(all_layers(member.n_layers))
        probes = [probe_mix(weights, name, train, val) for weights in mixes]
        best = min(range(len(mixes)), key=lambda mix: probes[mix].loss)
        heads[name] = linear_head(mixes[best], probes[best])
    return Teacher(teacher.members, heads, teacher.mixing)


def linear_head(layer_weights: Tensor, probe: Probe) -> LinearHead:
    """The head that scores the mix ``layer_weights`` (layers,) as the probe does."""
    return LinearHead.of_score(layer_weights, torch.from_numpy(probe.weight), probe.bias).requires_grad_(False)


def probe_mix(layer_weights: Tensor, name: str, train: Pooled, val: Pooled) -> Probe:
    """A linear probe on encoder ``name``'s layers, averaged with ``layer_weights`` (layers,)."""
    return fit_probe(
        mixed(train.states[name], layer_weights),
        train.labels.numpy(),
        mixed(val.states[name], layer_weights),
        val.labels.numpy(),
    )


def mixed(states: Tensor, layer_weights: Tensor) -> Floats:
    """(n, layers, dim) -> (n, dim), the weighted mean over layers."""
    # In parts, because all layers of many clips in float32 may be more than memory.
    parts = [torch.einsum("nld,l->nd", part.float(), layer_weights) for part in states.split(ROWS_AT_ONCE)]
    return torch.cat(parts).numpy().astype(np.float64)
