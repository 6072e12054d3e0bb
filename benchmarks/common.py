"""What the benchmarks share: the machine's name, and timing arms in turn so that noise meets all alike."""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

import torch

CPU_INFO = Path("/proc/cpuinfo")


def machine() -> str:
    """Cores, processor, GPU and versions, in one line."""
    names = {line.split(":")[1].strip() for line in _cpu_lines() if line.startswith("model name")}
    processor = ", ".join(sorted(names)) or platform.machine()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    versions = ", ".join(f"{package} {version(package)}" for package in ("torch", "ray", "optuna", "mlflow"))
    return f"{os.cpu_count()} cores ({processor}){gpu}, Python {platform.python_version()}, {versions}"


def alternate(arms: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Run every arm ``repeats`` times, in turn; each returns what it measured, e.g. seconds."""
    measured: dict[str, list[float]] = {arm: [] for arm in arms}
    for _ in range(repeats):
        for arm, run in arms.items():
            measured[arm].append(run())
    return measured


def median_ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Median over rounds of the ratio within a round."""
    return median(above / below for above, below in zip(numerator, denominator, strict=True))


def _cpu_lines() -> list[str]:
    return CPU_INFO.read_text(encoding="utf-8").splitlines() if CPU_INFO.exists() else []
