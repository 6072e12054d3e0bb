"""One optimizer step, by hand."""

import pytest
import torch
from torch import nn

from spaces.trial import TrialConfig
from trainables.optimization import Optimization, build_optimizer

CPU = torch.device("cpu")


def stepped(gradient: list[float], n_steps: int = 1, **flat: object) -> list[float]:
    """A parameter that starts at 0 after steps along a fixed gradient, plain SGD at rate 1 unless told."""
    settings = {
        "optimizer.optimizer": "sgd",
        "optimizer.momentum": 0.0,
        "optimizer.weight_decay": 0.0,
        "optimizer.gradient_clip": 0.0,
        "optimizer.warmup_epochs": 0,
        "optimizer.scheduler": "none",
        "training.learning_rate": 1.0,
    } | {key.replace("__", "."): value for key, value in flat.items()}
    parameter = nn.Parameter(torch.zeros(len(gradient)))
    optimization = Optimization([parameter], TrialConfig.from_flat(settings), 2, CPU)
    for _ in range(n_steps):
        optimization.step((parameter * torch.tensor(gradient)).sum())
    return parameter.tolist()


def test_sgd_goes_down_the_gradient_and_forgets_the_last_one():
    assert stepped([3.0, -4.0], n_steps=2) == [-6.0, 8.0]


def test_momentum_is_the_trials():
    assert stepped([1.0], n_steps=2, optimizer__momentum=0.5) == [-(1 + 1.5)]


def test_a_gradient_longer_than_the_clip_is_cut_to_it():
    assert stepped([3.0, -4.0], optimizer__gradient_clip=1.0) == pytest.approx([-0.6, 0.8], rel=1e-5)


def test_a_gradient_shorter_than_the_clip_is_left_alone():
    assert stepped([3.0, -4.0], optimizer__gradient_clip=10.0) == [-3.0, 4.0]


def test_warm_up_counts_optimizer_steps():
    # Two epochs of two steps: rates 1/4, 2/4, 3/4, 1, then 1.
    assert stepped([1.0], n_steps=5, optimizer__warmup_epochs=2) == pytest.approx([-3.5])


@pytest.mark.parametrize(
    ("name", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)]
)
def test_each_optimizer_gets_its_settings(name, kind):
    flat = {"optimizer.optimizer": name, "optimizer.weight_decay": 0.02, "optimizer.betas": [0.8, 0.9]}
    optimizer = build_optimizer([nn.Parameter(torch.zeros(1))], TrialConfig.from_flat(flat))
    assert type(optimizer) is kind and optimizer.defaults["weight_decay"] == 0.02
    assert optimizer.defaults.get("betas", (0.8, 0.9)) == (0.8, 0.9)


def test_a_cpu_computes_in_full_precision():
    optimization = Optimization([nn.Parameter(torch.zeros(1))], TrialConfig(), 1, CPU)
    with optimization.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.float32
