"""Whole sweeps for tests: clips and a teacher to run them on, the command as a process, and what it recorded."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
import psutil
import torch
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

from search.home import SweepFolder, open_home
from search.record.results import SweepResults
from trainables.teachers.wav2vec2 import quiet

Complete, Pruned, Fail, Running = (
    optuna.trial.TrialState[name] for name in ("COMPLETE", "PRUNED", "FAIL", "RUNNING")
)  # fmt: skip
PATIENCE_SECONDS = 400  # with a sweep where the machine is busy; pytest has little more with a test


@dataclass(frozen=True)
class Snapshot:
    """What is recorded of a sweep at one time: its studies, its MLflow runs by name, and every metric's points."""

    results: SweepResults
    studies: dict[str, list[FrozenTrial]]
    runs: dict[str, Run]
    points: dict[str, dict[str, list[tuple[int, float]]]]

    def run_of(self, student: str, number: int) -> Run:
        return self.runs[f"{student}-{number:03d}"]


def journal_of(folder: SweepFolder) -> dict[str, list[FrozenTrial]]:
    """Student to its trials that have begun, as any other program reads them; none before there is a journal."""
    if not folder.journal.exists():
        return {}
    storage = JournalStorage(JournalFileBackend(str(folder.journal)))
    names = [summary.study_name for summary in optuna.get_all_study_summaries(storage)]
    studies = {name.split("/")[1]: optuna.load_study(study_name=name, storage=storage) for name in names}
    begun = (Complete, Pruned, Fail, Running)  # and not those that are only enqueued
    return {student: study.get_trials(states=begun) for student, study in studies.items()}


def snapshot(name: str) -> Snapshot:
    home = open_home()
    client = MlflowClient(home.tracking_uri)
    found = client.search_runs([client.get_experiment_by_name(name).experiment_id])
    assert len({run.info.run_name for run in found}) == len(found), "a trial has two runs"
    points = {
        run.info.run_name: {
            metric: [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, metric)]
            for metric in run.data.metrics
        }
        for run in found
    }
    runs = {run.info.run_name: run for run in found}
    return Snapshot(SweepResults.read(home.sweep(name)), journal_of(home.sweep(name)), runs, points)


def write_random_teacher(folder: Path) -> None:
    config = Wav2Vec2Config(
        hidden_size=64, num_hidden_layers=3, num_attention_heads=1, intermediate_size=48, conv_dim=(8, 8, 8),
        conv_kernel=(10, 8, 8), conv_stride=(5, 8, 8), num_feat_extract_layers=3, num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(0)
        Wav2Vec2Model(config).save_pretrained(folder)
        Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)


def start(file: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "search.cli.main", "sweep", str(file)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


@contextmanager
def halted_when(reached: Callable[[], bool], command: subprocess.Popen) -> Iterator[None]:
    """Wait until ``reached``, which then holds for the whole block, however late that begins and long it takes.

    For the driver stands still meanwhile, which alone writes the record, and trials wait for it after their epoch.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        assert command.poll() is None, command.communicate()
        if reached():
            with _halted(command):
                if command.poll() is None and reached():
                    yield
                    return
        assert time.monotonic() < deadline, "it did not come so far in time"
        time.sleep(0.05)


@contextmanager
def _halted(command: subprocess.Popen) -> Iterator[None]:
    command.send_signal(signal.SIGSTOP)
    # The signal alone takes a while to be heard.
    os.waitid(os.P_PID, command.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    try:
        yield
    finally:
        command.send_signal(signal.SIGCONT)


def kill_when(reached: Callable[[], bool], command: subprocess.Popen) -> None:
    """SIGKILL to the driver alone, as soon as ``reached``; what it started is to follow it by itself."""
    with halted_when(reached, command):
        command.kill()
    command.communicate()


def processes_of(command: subprocess.Popen[str]) -> list[psutil.Process]:
    """What a command started, itself included, whether or not it still lives."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == command.pid and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found
