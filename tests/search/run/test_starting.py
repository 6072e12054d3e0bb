"""Ray where it takes longer to start than it gives itself: really started, with an agent that is slow at first."""

import logging
from pathlib import Path

import pytest
import ray

from search.run.resources import start_ray
from search.run.starting import MOST_STARTS, started
from spaces.sections import Resources

SLOW_AGENT = """
import pathlib, sys, time
slow = pathlib.Path(__file__).with_name("slow")
if any("dashboard/agent.py" in word for word in sys.orig_argv) and slow.exists():
    slow.unlink()
    time.sleep(60)
"""


@pytest.mark.slow
def test_a_ray_that_gave_itself_up_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    (tmp_path / "sitecustomize.py").write_text(SLOW_AGENT)
    (tmp_path / "slow").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with caplog.at_level(logging.WARNING):
        start_ray(Resources())
    try:
        assert ray.get(ray.remote(lambda: "it ran").remote()) == "it ran"
    finally:
        ray.shutdown()
    assert "it is started again" in caplog.text and not (tmp_path / "slow").exists()


def test_other_errors_and_too_many_of_these_are_raised() -> None:
    n_calls = 0

    def failing(told: str) -> None:
        nonlocal n_calls
        n_calls += 1
        raise RuntimeError(told)

    with pytest.raises(RuntimeError, match="no room"):
        started(lambda: failing("no room"))
    assert n_calls == 1
    with pytest.raises(RuntimeError, match="timed out during startup"):
        started(lambda: failing("The current node timed out during startup."))
    assert n_calls == 1 + MOST_STARTS
