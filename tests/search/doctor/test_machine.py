import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from search.doctor import machine
from search.doctor.finding import Subject, Verdict
from tests.search.doctor.judged import verdicts

GB = 10**9
Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("free", "verdict"), [(0.5 * GB, Verdict.MEND), (5 * GB, Verdict.ADVICE), (50 * GB, Verdict.FINE)]
)
def test_a_disk_is_judged_by_what_is_free(
    free: float, verdict: Verdict, subject: Subject, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(100 * GB, 50 * GB, free))
    assert verdicts(machine.check_disks(subject)) == [verdict]


def test_a_full_disk_under_rays_folder_and_one_that_is_none_are_told(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(1000 * GB, 960 * GB, 40 * GB))
    _, ray = machine.check_disks(subject)
    assert ray.verdict is Verdict.ADVICE and "96 % full" in ray.told and "RAY_TMPDIR" in ray.remedy
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "nowhere"))
    _, ray = machine.check_disks(subject)
    assert ray.verdict is Verdict.MEND


def test_little_memory_and_little_shared_memory_are_told():
    assert verdicts(machine.check_memory(8 * GB, 1 * GB)) == [Verdict.FINE]
    assert verdicts(machine.check_memory(1 * GB, 0.06 * GB)) == [Verdict.ADVICE] * 2


def test_loopback_of_this_machine_is_fine():
    assert verdicts(machine.check_ports()) == [Verdict.FINE]


def test_each_gpu_is_told_with_its_free_memory(monkeypatch: pytest.MonkeyPatch):
    memory = [(70 * GB, 80 * GB), (1 * GB, 80 * GB)]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(memory))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"H{index}00")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: memory[index])
    free, taken = machine.check_gpus()
    assert verdicts([free, taken]) == [Verdict.FINE, Verdict.ADVICE]
    assert (taken.what, taken.told) == ("GPU 1", "H100, 1.0 of 80.0 GB free")


@pytest.mark.parametrize(("driver", "verdict"), [("/usr/bin/nvidia-smi", Verdict.ADVICE), (None, Verdict.FINE)])
def test_a_gpu_that_torch_cannot_use_is_told(driver: str | None, verdict: Verdict, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: driver)
    assert verdicts(machine.check_gpus()) == [verdict]
