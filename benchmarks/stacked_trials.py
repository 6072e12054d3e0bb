"""Several tiny_conv trials at once: as many processes, or stacked in one, by groups or by ``torch.func``.

Every arm makes the same training step, a forward and backward pass of the student and AdamW, on random clips that
lie on the device.
"""

import copy
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from spaces.trial import Model
from trainables.students import Student, build_student

BATCH, N_STEPS, N_CLASSES = 32, 16, 2
Step = Callable[[], None]


def students(n: int, device: str) -> list[Student]:
    made = [build_student(Model(architecture="tiny_conv")).train() for _ in range(n)]
    return [student.to(device, memory_format=torch.channels_last) for student in made]


def clips(n: int, device: str) -> tuple[Tensor, Tensor]:
    """Log-mel (n, batch, 1, 64, 151) and labels (n, batch)."""
    return torch.randn(n, BATCH, 1, 64, 151, device=device), torch.randint(N_CLASSES, (n, BATCH), device=device)


def one(device: str) -> Step:
    (student,), (mel, labels) = students(1, device), clips(1, device)
    optimizer = torch.optim.AdamW(student.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(student(mel[0]), labels[0]).backward()
        optimizer.step()

    return step


def grouped(n: int, device: str) -> Step:
    """One network of n groups; batch norm and Dropout2d treat channels one by one as it is."""
    network = copy.deepcopy(students(1, device)[0].features)
    for name, layer in list(network.named_children()):
        if isinstance(layer, nn.Conv2d):
            wide = nn.Conv2d(
                n * layer.in_channels, n * layer.out_channels, 3, layer.stride, layer.padding, groups=n, bias=False
            )
            setattr(network, name, wide)
        elif isinstance(layer, nn.BatchNorm2d):
            setattr(network, name, nn.BatchNorm2d(n * layer.num_features))
    heads = nn.Parameter(torch.randn(n, 64, N_CLASSES, device=device))
    network = network.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW([*network.parameters(), heads], fused=True)
    mel, labels = clips(n, device)
    side_by_side = mel.squeeze(2).transpose(0, 1).contiguous(memory_format=torch.channels_last)  # (batch, n, 64, 151)

    def step() -> None:
        optimizer.zero_grad()
        embedding = network(side_by_side).unflatten(1, (n, -1)).transpose(0, 1)
        F.cross_entropy((embedding @ heads).flatten(0, 1), labels.flatten()).backward()
        optimizer.step()

    return step


def vmapped(n: int, device: str) -> Step:
    """The students' weights stacked, one gradient function mapped over them."""
    made = students(n, device)
    parameters, buffers = stack_module_state(made)
    optimizer = torch.optim.AdamW(parameters.values(), fused=True)
    mel, labels = clips(n, device)

    def loss(own: dict[str, Tensor], state: dict[str, Tensor], heard: Tensor, told: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(made[0], (own, state), heard), told)

    gradients = vmap(grad(loss), randomness="different")

    def step() -> None:
        for name, gradient in gradients(parameters, buffers, mel, labels).items():
            parameters[name].grad = gradient
        optimizer.step()

    return step


def seconds_of(step: Step, n_steps: int = N_STEPS) -> float:
    """Of some steps, after one that warms up."""
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(n_steps):
        step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def seconds_of_processes(n: int, device: str) -> float:
    """Until each of n processes has made its steps, all having started together."""
    context = get_context("spawn")
    barrier = context.Barrier(n + 1)
    processes = [context.Process(target=_work, args=(barrier, device)) for _ in range(n)]
    for process in processes:
        process.start()
    barrier.wait()
    started = time.perf_counter()
    barrier.wait()
    seconds = time.perf_counter() - started
    for process in processes:
        process.join()
    return seconds


def _work(barrier: Barrier, device: str) -> None:
    torch.set_num_threads(1)
    step = one(device)
    step()
    barrier.wait()
    seconds_of(step, N_STEPS - 1)  # its warm-up makes them N_STEPS
    barrier.wait()
