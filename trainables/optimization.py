"""One optimizer step: learning rate, mixed precision, gradient clipping, update."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from spaces.trial import TrialConfig
from trainables.schedules import learning_rate_at


class Optimization:
    """Updates parameters by a loss, on the schedule of a trial.

    Args:
        parameters: all that is trained, student and projectors.
        steps_per_epoch: optimizer steps in an epoch, which the schedule counts in.
        device: where the parameters are; mixed precision is for CUDA alone.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], config: TrialConfig, steps_per_epoch: int, device: torch.device
    ) -> None:
        self.config, self.steps_per_epoch, self.device = config, steps_per_epoch, device
        self.parameters = list(parameters)
        self.optimizer = build_optimizer(self.parameters, config)
        self.n_steps = 0
        self.half = _half_precision(device) if config.optimizer.mixed_precision else None
        # float16 gradients underflow unless the loss is scaled up; bfloat16 has float32's range.
        self.scaler = GradScaler(device.type, enabled=self.half is torch.float16)

    @property
    def learning_rate(self) -> float:
        """That of the latest step."""
        return self.optimizer.param_groups[0]["lr"]

    def autocast(self) -> AbstractContextManager[None]:
        """Half precision where the trial wants it and the device has it."""
        return torch.autocast(self.device.type, dtype=self.half, enabled=self.half is not None)

    def step(self, loss: Tensor) -> None:
        """Move the parameters down the gradient of a scalar loss."""
        training = self.config.training
        rate = learning_rate_at(
            self.n_steps, self.steps_per_epoch, training.epochs, training.learning_rate, self.config.optimizer
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        if self.config.optimizer.gradient_clip > 0:
            self.scaler.unscale_(self.optimizer)
            self._clip(self.config.optimizer.gradient_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.n_steps += 1

    def _clip(self, longest: float) -> None:
        """Cut the gradient, all parameters together, to a norm of at most ``longest``."""
        norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        # A CPU need not wait to know the norm, and where nothing is cut saves a pass over all gradients.
        if self.device.type != "cpu" or norm > longest:
            nn.utils.clip_grads_with_norm_(self.parameters, longest, norm)

    def state_dict(self) -> dict[str, Any]:
        return {
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "n_steps": self.n_steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"] and self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])
        self.n_steps = state["n_steps"]


def build_optimizer(parameters: list[nn.Parameter], config: TrialConfig) -> torch.optim.Optimizer:
    """The trial's optimizer; its learning rate is set before each step."""
    settings = config.optimizer
    # Fused: one pass over the 642 k parameters of each projector rather than one an operation.
    common: dict[str, Any] = {"lr": config.training.learning_rate, "weight_decay": settings.weight_decay, "fused": True}
    match settings.optimizer:
        case "adamw":
            return torch.optim.AdamW(parameters, betas=settings.betas, **common)
        case "adam":
            return torch.optim.Adam(parameters, betas=settings.betas, **common)
        case "sgd":
            return torch.optim.SGD(parameters, momentum=settings.momentum, **common)


def _half_precision(device: torch.device) -> torch.dtype | None:
    if device.type != "cuda":
        return None
    native = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if native else torch.float16
