"""How temperature and learning rate move over a trial. Neither ever looks at a loss."""

from math import cos, pi

from spaces.trial import Distillation, Optimizer


def temperature_at(epoch: int, epochs: int, distillation: Distillation) -> float:
    """Temperature of an epoch.

    ``linear_decay`` is the platform's ``T - (T - 1) * epoch / epochs``; ``exponential_decay`` is
    ``T ** (1 - epoch / epochs)``. Both fall from T towards 1, never under it.

    Args:
        epoch: 0 is the first.
    """
    start, progress = distillation.temperature, epoch / epochs
    match distillation.temperature_scheduler:
        case "fixed":
            return start
        case "linear_decay":
            return max(1.0, start - (start - 1) * progress)
        case "exponential_decay":
            return max(1.0, start ** (1 - progress))


def learning_rate_at(step: int, steps_per_epoch: int, epochs: int, peak: float, optimizer: Optimizer) -> float:
    """Learning rate of an optimizer step: linear warm-up, then cosine or constant.

    Warm-up reaches ``peak`` on its last step; cosine starts there and ends at ``min_lr`` (or at ``peak``,
    where that is lower) on the trial's last step.

    Args:
        step: 0 is the trial's first.
    """
    n_warmup = optimizer.warmup_epochs * steps_per_epoch
    if step < n_warmup:
        return peak * (step + 1) / n_warmup
    if optimizer.scheduler == "none":
        return peak
    end = min(optimizer.min_lr, peak)
    n_cosine_intervals = max(1, epochs * steps_per_epoch - n_warmup - 1)
    return end + (peak - end) * (1 + cos(pi * (step - n_warmup) / n_cosine_intervals)) / 2
