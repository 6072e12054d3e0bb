"""What a teacher is: encoders that hear a clip once, heads that judge what they heard, for free."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from trainables.teachers.dual import Mixing, mix_logits
from trainables.teachers.head import Head, LinearHead

Precision = Literal["float32", "bfloat16", "float16"]


class NotATeacherError(ValueError):
    """What was named as a teacher is none; the message says why and what to do."""


class Encoder(nn.Module):
    """The frozen part of a teacher: clips in, every layer's hidden states averaged over time out.

    ``name`` is the teacher's in corpus and config, ``n_layers`` counts the layers it returns,
    ``dim`` is their size. Layers are numbered as on the platform (see the subclasses).
    """

    name: str
    n_layers: int
    dim: int
    precision: Precision = "float32"

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, 24000) -> (batch, n_layers, dim) float32, in one pass, with gradient."""
        raise NotImplementedError

    @property
    def blocks(self) -> nn.ModuleList:
        """The blocks that `fine_tune` may unfreeze, first to last."""
        raise NotImplementedError

    def description(self) -> dict[str, Any]:
        """What besides the weights decides the states, as JSON."""
        raise NotImplementedError

    def save(self, folder: Path, head: LinearHead | None) -> None:
        """Write encoder and head as one folder that `load_teacher` reads.

        Raises:
            InputError: the folder cannot be written.
        """
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def fingerprint(self) -> str:
        """SHA-256 of weights, precision and description: equal where the states are, in any process.

        Of the precision as it is set and not of this device, for the encoder may be run elsewhere.
        """
        return digest(self.state_dict(), {"dtype": self.precision, **self.description()})

    def launch(self, waveform: Tensor) -> Tensor:
        """(batch, 24000) -> (batch, n_layers, dim) float32 where the encoder is, frozen, without gradient.

        On CUDA it returns before the result is there. A batch that does not fit its memory is halved.
        """
        self.eval()
        half = self.precision != "float32"
        try:
            # Pinned memory is copied while the GPU computes.
            given = waveform.pin_memory() if self.device.type == "cuda" else waveform
            with (
                torch.inference_mode(),
                torch.autocast(self.device.type, getattr(torch, self.precision), enabled=half),
            ):
                return self(given.to(self.device, torch.float32, non_blocking=True)).float().detach()
        except torch.OutOfMemoryError:
            if len(waveform) == 1:
                raise
        return torch.cat([self.launch(part) for part in waveform.chunk(2)])

    def encode(self, waveform: Tensor) -> Tensor:
        """(batch, 24000) -> (batch, n_layers, dim) float32 on the CPU, frozen, without gradient."""
        # A copy made outside inference_mode is an ordinary tensor that training may use.
        return self.launch(waveform).cpu().clone()


class Pooled(NamedTuple):
    """What the encoders made of some clips.

    states: per encoder (n, layers, dim), of any float type. labels: (n,) class indices.
    """

    states: dict[str, Tensor]
    labels: Tensor


class Teacher:
    """One encoder or two, each with its head once fitted.

    Args:
        members: encoders by name.
        heads: a head for each member, or none where the teacher is not fitted.
        mixing: how two teachers' logits become one.
    """

    def __init__(
        self, members: Mapping[str, Encoder], heads: Mapping[str, Head] | None = None, mixing: Mixing = "confidence"
    ) -> None:
        self.members, self.heads, self.mixing = dict(members), dict(heads or {}), mixing

    @property
    def fitted(self) -> bool:
        return all(name in self.heads for name in self.members)

    @property
    def fingerprint(self) -> str:
        """Of what the hidden states depend on: the encoders."""
        return digest({}, {name: member.fingerprint for name, member in self.members.items()})

    @property
    def head_fingerprint(self) -> str:
        """Of what the logits depend on besides the hidden states: heads and mixing."""
        mixing = self.mixing if len(self.members) > 1 else ""
        heads = {name: digest(head.state_dict(), {"form": type(head).__name__}) for name, head in self.heads.items()}
        return digest({}, {"mixing": mixing, **heads})

    def to(self, device: torch.device | str, precision: Precision | None = None) -> Self:
        """Move the encoders; the heads stay on the CPU, where pooled states are.

        Args:
            precision: what the encoders compute in; none: as before, float32 at first. See `precision.settle`.
        """
        for member in self.members.values():
            member.to(device)
            member.precision = precision or member.precision
        return self

    def encode(self, waveform: Tensor) -> dict[str, Tensor]:
        """(batch, 24000) -> per encoder (batch, layers, dim) float32 on the CPU, one pass each."""
        return {name: member.encode(waveform) for name, member in self.members.items()}

    def classify(self, states: Mapping[str, Tensor]) -> Tensor:
        """Per encoder (batch, layers, dim) -> logits (batch, 2), float32, mixed where there are two.

        Raises:
            ValueError: a head is not fitted.
        """
        if not self.fitted:
            raise ValueError("the teacher's head is not fitted, so its logits would be noise; call fit_head first")
        with torch.no_grad():
            logits = torch.stack([self.heads[name](states[name].float()) for name in self.members])
            return logits[0] if len(logits) == 1 else mix_logits(logits, self.mixing)

    def save(self, folder: Path) -> None:
        """Write a teacher that `load_teacher` reads: one folder, or one a member within it for two.

        Raises:
            InputError: the folder cannot be written.
            ValueError: a head that transformers' classifiers cannot hold (the platform's).
        """
        for name, member in self.members.items():
            head = self.heads.get(name)
            if head is not None and not isinstance(head, LinearHead):
                raise ValueError(
                    f"the {name} teacher's head is the platform's and cannot be saved; call fit_head first"
                )
            member.save(folder if len(self.members) == 1 else folder / name, head)


def encode_clips(
    teacher: Teacher, waveforms: Tensor, batch_size: int = 32, on_batch: Callable[[int], None] | None = None
) -> dict[str, Tensor]:
    """(n, 24000) -> per encoder (n, layers, dim).

    Args:
        on_batch: called with the number of clips done.
    """
    batches: list[dict[str, Tensor]] = []
    for done, chunk in enumerate(waveforms.split(batch_size)):
        batches.append(teacher.encode(chunk))
        if on_batch:
            on_batch(min((done + 1) * batch_size, len(waveforms)))
    return {name: torch.cat([batch[name] for batch in batches]) for name in teacher.members}


def fastest_device() -> str:
    """Where encoders run: ``cuda`` where there is one, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def digest(tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> str:
    """SHA-256 in hexadecimal of named tensors and a JSON description, whatever their order."""
    sha = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        values = tensor.detach().cpu().contiguous()
        sha.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        # As bytes, because numpy has no bfloat16.
        sha.update(values.flatten().view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()
