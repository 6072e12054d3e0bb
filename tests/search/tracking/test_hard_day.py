"""A real sweep whose MLflow server has a hard day: errors, sloth, half a minute of silence, a kill.

The server is MLflow's own over SQLite, behind a small proxy that answers 500 or dawdles when it is told to.
"""

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from optuna.trial import FrozenTrial

from search.home import SweepFolder, open_home
from tests.search.sweeps import journal_of, start
from tests.search.tracking.servers import Proxy, Server, proxied, serving

pytestmark = [pytest.mark.slow, pytest.mark.long]

SILENT_SECONDS = 30
PATIENCE_SECONDS = 120
Points = dict[str, dict[str, list[int]]]
"""Run's name to metric to its steps, in order."""


@dataclass(frozen=True)
class Day:
    """How the sweep ended, what it recorded, what MLflow's database has, and reports made while MLflow was silent."""

    returncode: int
    told: str
    log: str
    spool: bytes
    trials: list[FrozenTrial]
    points: Points
    n_runs_twice: int
    n_reports_in_silence: int


def n_reports(folder: SweepFolder) -> int:
    return sum(len(trial.intermediate_values) for trial in journal_of(folder).get("tiny_conv", []))


def wait_until(condition, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert process.poll() is None, "".join(process.communicate())
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def n_points(database: Path) -> int:
    with sqlite3.connect(database, timeout=30) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM metrics").fetchone()[0])


def a_hard_day(process: subprocess.Popen[str], folder: SweepFolder, server: Server, proxy: Proxy, db: Path) -> int:
    """Everything that may befall a server, one after the other; how many reports the sweep made in the silence."""

    def goes_on() -> None:
        before = n_reports(folder)
        wait_until(lambda: n_reports(folder) > before + 2, process)

    wait_until(lambda: n_points(db) > 0, process)
    proxy.disturb = lambda path: 500
    wait_until(lambda: proxy.n_disturbed >= 3, process)
    goes_on()
    slow: list[str] = []

    def dawdle(path: str) -> None:
        time.sleep(2)
        slow.append(path)

    proxy.disturb = dawdle
    wait_until(lambda: len(slow) >= 2, process)
    goes_on()
    proxy.disturb = lambda path: None
    before = n_reports(folder)
    server.signal(signal.SIGSTOP)
    time.sleep(SILENT_SECONDS)
    in_silence = n_reports(folder) - before
    server.signal(signal.SIGCONT)
    written = n_points(db)
    wait_until(lambda: n_points(db) > written, process)
    server.kill()
    goes_on()
    server.start()
    return in_silence


@pytest.fixture(scope="module")
def day(workplace: Path, sweep_file) -> Iterator[Day]:
    database = workplace / "server.db"
    with serving(f"sqlite:///{database}", workplace / "server") as server, proxied(server.url) as proxy:
        file = sweep_file(
            "hard",
            students={"tiny_conv": {"fixed": {"model.tcn_num_channels": [4, 4, 4]}}},
            # More than any machine gets through: the day ends with Ctrl-C.
            budget={"trials": 100, "epochs": 150},
            early_stopping={"scheduler": "none"},
            resources={"max_concurrent_trials": 1, "checkpoint_epochs": 10},
            tracking={"uri": proxy.url},
        )
        folder = open_home().sweep("hard")
        process = start(file)
        try:
            in_silence = a_hard_day(process, folder, server, proxy, database)
            os.killpg(process.pid, signal.SIGINT)
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        points, twice = recorded(database)
        trials = journal_of(folder)["tiny_conv"]
        log = folder.log.read_text()
        yield Day(process.returncode, out + err, log, folder.spool.read_bytes(), trials, points, twice, in_silence)


def recorded(database: Path) -> tuple[Points, int]:
    """What the server's database has, read without the server; and how many runs have a name that another has."""
    points: Points = {}
    with sqlite3.connect(database) as connection:
        names = dict(connection.execute("SELECT run_uuid, name FROM runs"))
        for run, metric, step in connection.execute("SELECT run_uuid, key, step FROM metrics ORDER BY step"):
            points.setdefault(names[run], {}).setdefault(metric, []).append(step)
    return points, len(names) - len(set(names.values()))


def test_the_sweep_goes_on_whatever_its_server_does(day):
    assert day.returncode == 130, day.told
    assert day.n_reports_in_silence >= 3
    assert not [trial for trial in day.trials if trial.state.name == "FAIL"]


def test_every_epoch_of_every_trial_arrives_once(day):
    epochs = {f"tiny_conv-{trial.number:03d}": sorted(trial.intermediate_values) for trial in day.trials}
    assert sum(map(len, epochs.values())) > 10
    for run, steps in epochs.items():
        assert steps == list(range(1, len(steps) + 1))
        per_epoch = {metric for metric in day.points[run] if metric.startswith(("val_", "train_", "epoch_"))}
        assert len(per_epoch) > 10
        assert {metric: day.points[run][metric] for metric in per_epoch} == dict.fromkeys(per_epoch, steps)
    assert day.points.keys() == {"tiny_conv", *epochs} and day.n_runs_twice == 0
    assert day.spool == b""


def test_the_log_tells_of_the_silence_once_and_of_its_end(day):
    assert day.log.count("does not answer") == day.log.count("answers again")
    assert "does not answer" in day.log and "trials go on" in day.log
