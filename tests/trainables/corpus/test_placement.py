"""Where a corpus lies: what is chosen for which sizes, and that no result depends on it."""

import mmap

import numpy as np
import pytest
import torch

from spaces.sections import Objective
from spaces.trial import TrialConfig
from trainables.build import seeded_student
from trainables.corpus.placement import Room, choose, decide, measured_room, memory_free, place
from trainables.corpus.read_ahead import MappedFiles
from trainables.corpus.store import Corpus
from trainables.run import DistillRun

CPU = torch.device("cpu")
GB = 10**9
LAYERS = {"wav2vec2": (0, 2, 4)}


def room(on_device: float = 1, mapped: float = 1, gpu: float | None = None, memory_free: float = 10) -> Room:
    """In GB."""
    gpu_bytes = None if gpu is None else int(gpu * GB)
    return Room(int(on_device * GB), int(mapped * GB), gpu_bytes, int(memory_free * GB))


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        (room(), "memory"),
        (room(mapped=8), "memory"),  # 0.8 of what is free
        (room(mapped=8.1), "disk"),
        (room(on_device=10, gpu=10), "device"),
        (room(on_device=10.1, gpu=10), "memory"),
        (room(on_device=10.1, mapped=8.1, gpu=10), "disk"),
        (room(on_device=1, mapped=100, gpu=10), "device"),
    ],
)
def test_the_fastest_placement_with_room_is_chosen(given, chosen):
    assert choose(given).where == chosen


def test_the_choice_says_why_with_sizes():
    chosen = choose(room(on_device=5, mapped=20, gpu=4, memory_free=10))
    assert str(chosen) == "disk: 5 GB of arrays in 20 GB of files, 10 GB of memory free, room for 4 GB on the GPU"


def test_a_placement_that_is_told_is_not_chosen(corpus):
    assert decide(corpus, LAYERS, "disk", CPU) == ("disk", "as told")


def test_a_trial_needs_the_log_mel_and_on_its_device_only_the_layers_it_aligns(corpus):
    # 11 clips in 3 views and 8 in one: 41 views of 64 x 48 float16 log-mel; 5 layers of 6 float16 each, of which 3.
    measured = measured_room(corpus, LAYERS, CPU)
    assert measured.mapped == 41 * 2 * (64 * 48 + 5 * 6)
    assert measured.on_device == 41 * 2 * (64 * 48 + 3 * 6)
    assert measured_room(corpus, {}, CPU).mapped == 41 * 2 * 64 * 48
    assert measured.gpu is None and measured.memory_free > 0


def test_free_memory_is_the_machines_or_its_containers(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000000 kB\n")
    group = tmp_path / "cgroup"
    assert memory_free(meminfo, group) == 8_000_000 * 1024
    group.mkdir()
    (group / "memory.max").write_text("max\n")
    assert memory_free(meminfo, group) == 8_000_000 * 1024
    # 4 GB allowed and 3 used, of which 2 are page cache, which makes room.
    (group / "memory.max").write_text("4000000000\n")
    (group / "memory.current").write_text("3000000000\n")
    (group / "memory.stat").write_text("anon 1000000000\nfile 2000000000\n")
    assert memory_free(meminfo, group) == 3 * GB


@pytest.mark.parametrize("aligned", [[], [0, 2, 4]], ids=["logits", "alignment"])
def test_no_metric_depends_on_the_placement(dual_corpus, aligned):
    flat = {"training.batch_size": 4, "training.epochs": 2, "optimizer.warmup_epochs": 1}
    if aligned:
        flat |= {"distillation.feature_alignment_enabled": True, "distillation.alignment_layers": aligned}
    config = TrialConfig.from_flat(flat)

    def results(placement) -> list[dict]:
        run = DistillRun(config, seeded_student(config), dual_corpus, Objective(), placement=placement)
        epochs = [run.step() for _ in range(2)]
        found = [{name: value for name, value in epoch.items() if not name.endswith("_seconds")} for epoch in epochs]
        return [*found, run.measure("test")]

    expected = results("device")
    assert {"val_pauc", "train_loss"} < set(expected[0])
    for placement in ("auto", "memory", "disk"):
        assert results(placement) == expected


def test_on_the_device_nothing_is_mapped_and_else_nothing_is_copied(corpus_folder, head):
    corpus = Corpus.open(corpus_folder, head)
    train = corpus.splits["train"]
    files = {train.mel.ctypes.data: "mel", train.hidden["wav2vec2"].ctypes.data: "hidden"}
    for placement, mapped in (("device", []), ("memory", ["mel", "hidden"]), ("disk", ["mel", "hidden"])):
        batches = place(corpus, LAYERS, placement, CPU)["train"]
        rows = batches.mel, batches.hidden["wav2vec2"].rows
        assert [files[array.data_ptr()] for array in rows if array.data_ptr() in files] == mapped
        assert len(rows[1]) == 11 * 3 * (3 if placement == "device" else 5)
        assert (batches.read_ahead is not None) == (placement == "disk")


class Recorded(mmap.mmap):
    """A mapping that tells what was asked of it."""

    asked: list[tuple[int, ...]]

    def madvise(self, *told: int) -> None:
        self.asked.append(told)
        super().madvise(*told)


def test_rows_are_asked_for_by_the_pages_they_lie_in(tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, np.zeros((3, 2, 3000), np.float16))  # a row a view, 6,000 bytes, after a header of 128
    with open(path, "rb") as file:
        pages = Recorded(file.fileno(), 0, access=mmap.ACCESS_COPY)
    pages.asked = []
    array = np.ndarray((3, 2, 3000), np.float16, pages, offset=128)
    files = MappedFiles([array, np.zeros((3, 2, 1))])
    files.read_rows(torch.tensor([0, 4]))
    # Row 4 lies from byte 24,128 to 30,128; pages are 4,096 bytes and begin at 20,480.
    assert pages.asked == [(mmap.MADV_WILLNEED, 0, 6128), (mmap.MADV_WILLNEED, 20_480, 9648)]
    files.expect_random()
    files.read_whole()
    assert pages.asked[2:] == [(mmap.MADV_RANDOM,), (mmap.MADV_WILLNEED,)]
