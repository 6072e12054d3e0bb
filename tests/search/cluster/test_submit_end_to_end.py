"""A sweep submitted to a real head with a token: followed, stopped, killed, gone on with, looked at, exported."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
import yaml
from ray.job_submission import JobSubmissionClient

from search.cluster.head import Head
from search.driver import ask_to_stop, driver_of
from search.home import Home
from search.record.results import SweepResults
from spaces.errors import InputError
from tests.search.cluster.conftest import Cluster
from tests.search.conftest import synthesise_few
from tests.search.sweeps import Complete, Running, journal_of

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
ENDLESS = 5000  # epochs, more than a test waits for
PATIENCE_SECONDS = 300
Distune = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def laptop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where sweeps are submitted from, and where distune's home is."""
    folder = tmp_path_factory.mktemp("laptop")
    synthesise_few(cluster.home.parent / "clips")
    (folder / "mine.yaml").write_text("extends: tiny_conv\nfixed: {training.batch_size: 8}\n")
    tree = {
        "data": {"path": str(cluster.home.parent / "clips"), "views": {"count": 2}},
        "teacher": {"allow_weak": True},
        "students": {"tiny_conv": {"space": "mine.yaml", "epochs": 2}, "mobilenetv3": {"epochs": ENDLESS}},
        "budget": {"trials": 1},
        "early_stopping": {"scheduler": "none"},
        "confirm": {"enabled": False},
        "resources": {"checkpoint_epochs": 2, "address": "ray://somewhere-else:10001"},
    }
    (folder / "first.yaml").write_text(yaml.safe_dump(tree))
    return folder


@pytest.fixture(scope="module")
def distune(cluster: Cluster, laptop: Path) -> Iterator[Distune]:
    """The command, in a process of its own on the machine that submits."""
    started: list[subprocess.Popen[str]] = []
    environment = os.environ | {
        "PYTHONPATH": str(ROOT), "DISTUNE_HOME": str(laptop / "home"), "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(cluster.file), "RAY_ADDRESS": "http://127.0.0.1:1",
    }  # fmt: skip

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "search.cli.main", *arguments]
        started.append(
            subprocess.Popen(
                command,
                cwd=laptop,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                # It heeds Ctrl-C whatever started the tests.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        )
        return started[-1]

    yield start
    for command in started:
        command.kill()
        command.communicate()


def done(command: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit status, standard output, standard error of a command that has come to its end."""
    shown, told = command.communicate(timeout=PATIENCE_SECONDS)
    return command.returncode, shown, told


def await_epoch(command: subprocess.Popen[str], epoch: int, ends: int = 0) -> list[dict]:
    """The events that a command shows until mobilenetv3 is through ``epoch`` epochs, and ``ends`` trials have ended."""
    assert command.stdout is not None
    told, reached, ended = [], 0, 0
    for line in command.stdout:
        told.append(json.loads(line))
        if told[-1]["event"] == "epoch" and told[-1]["student"] == "mobilenetv3":
            reached = told[-1]["epoch"]
        ended += told[-1]["event"] == "trial_ended"
        if reached >= epoch and ended >= ends:
            return told
    raise AssertionError(f"it ended before: {told}")


def await_end(cluster: Cluster, job: str) -> None:
    """A job's process ends some time after its sweep, and until then the sweep's next is refused."""
    headers, deadline = {"Authorization": f"Bearer {cluster.token}"}, time.monotonic() + PATIENCE_SECONDS
    while requests.get(f"{cluster.address}/api/jobs/{job}", headers=headers).json()["status"] in ("PENDING", "RUNNING"):
        assert time.monotonic() < deadline, f"{job} does not end"
        time.sleep(0.5)


def epoch_of(cluster: Cluster) -> int:
    """The last epoch of mobilenetv3 that is recorded on the head."""
    (trial,) = journal_of(Home(cluster.home).sweep("first"))["mobilenetv3"]
    return max(trial.intermediate_values)


def start_of(told: list[dict]) -> int:
    """After which epoch mobilenetv3 began or went on."""
    (start,) = (each for each in told if each["event"] == "trial_started" and each["student"] == "mobilenetv3")
    return int(start["epoch"])


@pytest.fixture(scope="module")
def followed(cluster: Cluster, distune: Distune):
    """The sweep, submitted and followed until Ctrl-C: its events and how that ended; a second of its name meanwhile."""
    follower = distune("submit", "first.yaml", "--address", cluster.address, "--follow", "--json")
    told = await_epoch(follower, 3, ends=1)
    again = done(distune("submit", "first.yaml", "--set", "budget.trials=3"))
    follower.send_signal(signal.SIGINT)
    status, _, words = done(follower)
    return told, (status, words), again, driver_of(cluster.home / "sweeps" / "first")


@pytest.fixture(scope="module")
def stopped(cluster: Cluster, distune: Distune, followed):
    """Stopped from the laptop, and the epoch that was recorded by then."""
    how = done(distune("stop", "first"))
    await_end(cluster, "distune-first-1")
    return how, epoch_of(cluster)


@pytest.fixture(scope="module")
def killed(cluster: Cluster, distune: Distune, stopped):
    """Resumed by name, and its driver killed with -9: its events, how that ended, the last epoch; status asked then."""
    follower = distune("resume", "first", "--json")
    told = await_epoch(follower, stopped[1] + 5)
    driver = driver_of(cluster.home / "sweeps" / "first")
    assert driver is not None and driver.is_here
    os.kill(driver.pid, signal.SIGKILL)
    return told, done(follower), epoch_of(cluster), done(distune("status", "first"))


@pytest.fixture(scope="module")
def again(cluster: Cluster, distune: Distune, killed):
    """Submitted again, followed as text, and stopped by its file on the head: how the follower ended, and the epoch."""
    follower = distune("submit", "first.yaml", "--follow")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while epoch_of(cluster) <= killed[2]:
        assert follower.poll() is None and time.monotonic() < deadline
        time.sleep(0.5)
    ask_to_stop(cluster.home / "sweeps" / "first")
    return done(follower)


def test_it_is_a_job_at_once_and_its_events_are_shown(followed, cluster):
    told = followed[0]
    assert told[0]["event"] == "submitted"
    assert (told[0]["sweep"], told[0]["job"], told[0]["address"]) == ("first", "distune-first-1", cluster.address)
    kinds = [event["event"] for event in told]
    assert kinds.index("step") < kinds.index("sweep_started") < kinds.index("trial_started")
    assert start_of(told) == 0


def test_a_second_one_of_that_name_is_refused_while_it_runs(followed):
    status, shown, told = followed[2]
    assert (status, shown) == (2, "")
    assert "refused: sweep: name = 'first': job distune-first-1 works on it" in told and "distune stop first" in told


def test_ctrl_c_leaves_the_job_running_and_says_so(followed, cluster):
    status, words = followed[1]
    assert status == 130
    assert f"job distune-first-1 goes on at {cluster.address}; look with: distune status first" in words
    assert followed[3] is not None


def test_stop_is_gentle_and_resume_goes_on_from_what_was_saved(stopped, killed):
    (status, shown, told), epoch = stopped
    assert (status, told) == (0, "")
    assert "stopped; trials yet to end: 1; go on with: distune resume first\n" in shown
    # An epoch that was under way is saved as well.
    assert 3 <= epoch <= start_of(killed[0]) + 1 and start_of(killed[0]) > 0


def test_a_killed_driver_is_told_by_the_follower_and_by_status(killed):
    _, (status, _, told), _, (looked, shown, words) = killed
    assert status == 1 and "its job distune-first-2 ended with status -9" in told
    assert looked == 0 and shown.startswith("interrupted\n") and "go on with: distune resume first" in shown
    assert "its job distune-first-2 ended with status -9" in words


def test_submitted_again_it_goes_on_with_no_epoch_lost_or_twice(again, killed, cluster):
    status, shown, told = again
    assert status == 130 and "as job distune-first-3\n" in shown, told
    # The board, as text, and what has been found by then.
    assert "sweep first\n" in shown and "stopped by the user; trials yet to end: 1" in shown
    trials = journal_of(Home(cluster.home).sweep("first"))
    states = {student: [trial.state for trial in found] for student, found in trials.items()}
    assert states == {"tiny_conv": [Complete], "mobilenetv3": [Running]}
    epochs = sorted(trials["mobilenetv3"][0].intermediate_values)
    assert epochs == list(range(1, len(epochs) + 1)) and len(epochs) > killed[2]


def test_its_own_space_went_along_and_the_cluster_is_its_own(again, cluster):
    sweep = SweepResults.read(Home(cluster.home).sweep("first")).sweep
    assert sweep.resources.address == "auto"
    assert sweep.students["tiny_conv"].space == str(cluster.home / "received" / "first" / "space-tiny_conv.yaml")


def test_the_best_is_written_here(again, distune, laptop):
    (laptop / "out").mkdir()
    status, shown, told = done(distune("export", "first", "--student", "tiny_conv", "-o", "out/best.yaml"))
    assert (status, told, shown) == (0, "", "tiny_conv, trial 0: out/best.yaml\n")
    best = yaml.safe_load((laptop / "out" / "best.yaml").read_text())
    assert best["training"]["batch_size"] == 8 and best["distune"]["sweep"]["name"] == "first"
    assert [path.name for path in (laptop / "out").iterdir()] == ["best.yaml"]


def test_a_sweep_that_the_head_does_not_know_is_refused_in_its_name(again, cluster, distune):
    status, shown, told = done(distune("status", "never", "--address", cluster.address))
    assert (status, shown) == (2, "")
    assert told == "refused: command line: NAME = 'never': is not recorded on the head\n"


@pytest.mark.parametrize(
    ("mode", "token", "remedy"),
    [
        ("", "", "wants a token: copy the cluster's to ~/.ray/auth_token"),
        ("disabled", "right", "wants a token"),
        ("token", "0" * 64, "does not take this token"),
        ("", "0" * 64, "does not take this token"),
        ("", "right", None),
    ],
)
def test_no_token_or_another_is_refused_and_the_right_one_is_shown_where_it_is_asked_for(
    mode, token, remedy, cluster, monkeypatch, tmp_path
):
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    monkeypatch.setenv("RAY_AUTH_TOKEN", cluster.token if token == "right" else token)
    monkeypatch.setenv("HOME", str(tmp_path))
    if remedy is None:
        assert Head.connect(f"{cluster.address}/").jobs() is not None
        return
    with pytest.raises(InputError, match=f"--address = .{re.escape(cluster.address)}.: {remedy}"):
        Head.connect(cluster.address)


def test_neither_jobs_nor_notes_nor_logs_hold_the_token(again, cluster, laptop, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(cluster.file))
    headers = {"Authorization": f"Bearer {cluster.token}"}
    client = JobSubmissionClient(cluster.address, headers=headers)
    jobs = client.list_jobs()
    assert {job.submission_id for job in jobs} >= {"distune-first-1", "distune-first-2", "distune-first-3"}
    assert cluster.token not in "".join(str(job) for job in jobs)
    for job in jobs:
        assert cluster.token not in client.get_job_logs(job.submission_id)
    for path in [*(laptop / "home").rglob("*"), *cluster.home.rglob("*")]:
        assert not path.is_file() or cluster.token.encode() not in path.read_bytes(), path
