"""Batches of a split: index gathers on flattened arrays, wherever those lie."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import torch
from torch import Tensor

N_BATCHES_AHEAD = 4


class Batch(NamedTuple):
    """What one step sees, in float32, on the trial's device.

    mel: (batch, 1, 64, 151). labels: (batch,) class indices. hard: (batch,) bool.
    logits: (batch, classes). hidden: per teacher (aligned layers, batch, dim), divided by
    the teacher's RMS.
    """

    mel: Tensor
    labels: Tensor
    hard: Tensor
    logits: Tensor
    hidden: dict[str, Tensor]


@dataclass(frozen=True)
class AlignedStates:
    """One teacher's hidden states, of which a trial aligns some layers.

    rows: (n * K * stored layers, dim) float16. n_stored: layers a view of a clip has in ``rows``.
    positions: (aligned layers,), where among those the aligned ones stand. rms: what states are divided by.
    """

    rows: Tensor
    n_stored: int
    positions: Tensor
    rms: float

    def of(self, views: Tensor) -> Tensor:
        """Which rows hold the aligned layers of these views, (aligned layers * batch,)."""
        return (views * self.n_stored + self.positions[:, None]).flatten()


@dataclass(frozen=True)
class Batches:
    """One split as a trial reads it; ``n`` clips in ``n_views`` views make n * K rows, a clip's views side by side.

    mel: (n * K, 64, 151) float16. logits: (n * K, classes). hidden: the aligned teachers. labels, hard: (n,).
    device: where batches go; labels, hard and logits lie there, mel and hidden there or mapped.
    read_ahead: told of rows, (batch,), that will soon be gathered.
    """

    mel: Tensor
    logits: Tensor
    hidden: Mapping[str, AlignedStates]
    labels: Tensor
    hard: Tensor
    n_views: int
    device: torch.device
    read_ahead: Callable[[Tensor], None] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, n_clips: int) -> Self:
        """The split cut to its first clips."""
        return replace(self, labels=self.labels[:n_clips], hard=self.hard[:n_clips])

    def shuffled(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        """Every clip once in random order, each in a random view."""
        order = torch.randperm(len(self), generator=generator)
        views = torch.randint(self.n_views, (len(self),), generator=generator)
        return self._gathered(order, views[order], batch_size)

    def clean(self, batch_size: int) -> Iterator[Batch]:
        """Every clip once, in order, in its clean view."""
        order = torch.arange(len(self))
        return self._gathered(order, torch.zeros_like(order), batch_size)

    def gather(self, clips: Tensor, views: Tensor) -> Batch:
        """The clips (batch,), each in its view (batch,)."""
        rows = clips * self.n_views + views
        hidden = {
            teacher: self._taken(states.rows, states.of(rows)).float().div_(states.rms).unflatten(0, (-1, len(rows)))
            for teacher, states in self.hidden.items()
        }
        return Batch(
            mel=self._taken(self.mel, rows).float().unsqueeze(1),
            labels=self._taken(self.labels, clips),
            hard=self._taken(self.hard, clips),
            logits=self._taken(self.logits, rows),
            hidden=hidden,
        )

    def _gathered(self, order: Tensor, views: Tensor, batch_size: int) -> Iterator[Batch]:
        at = self.mel.device
        chunks = list(zip(order.to(at).split(batch_size), views.to(at).split(batch_size), strict=True))
        for clips, chosen in chunks[:N_BATCHES_AHEAD]:
            self._ask(clips, chosen)
        for i, (clips, chosen) in enumerate(chunks):
            for coming in chunks[i + N_BATCHES_AHEAD : i + N_BATCHES_AHEAD + 1]:
                self._ask(*coming)
            yield self.gather(clips, chosen)

    def _ask(self, clips: Tensor, views: Tensor) -> None:
        if self.read_ahead:
            self.read_ahead(clips * self.n_views + views)

    def _taken(self, array: Tensor, rows: Tensor) -> Tensor:
        """Rows of an array, on the trial's device."""
        if array.device == self.device:
            return array.index_select(0, rows.to(self.device, non_blocking=True))
        # Page-locked, so that the copy overlaps the host's next work; float16 travels and is widened over there.
        staged = torch.empty(len(rows), *array.shape[1:], dtype=array.dtype, pin_memory=True)
        return torch.index_select(array, 0, rows, out=staged).to(self.device, non_blocking=True)
