"""What Tab offers, asked as a shell asks it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from search.cli.complete import complete_sweeps


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Distune's home with the sweeps ``first``, of two students, and ``second``, which no distune can read."""
    for name in ("first", "second"):
        (tmp_path / "home" / "sweeps" / name).mkdir(parents=True)
    content = {"name": "first", "data": {"path": "clips"}, "students": ["tiny_conv", "resnet18"]}
    (tmp_path / "home" / "sweeps" / "first" / "sweep.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "home" / "sweeps" / "second" / "sweep.yaml").write_text("name: [")
    return tmp_path / "home"


def offered(home: Path, line: str) -> list[str]:
    """The words that bash is told for the last word of ``line``."""
    words = line.split(" ")
    asked = {"_DISTUNE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    script = "from search.cli.main import app; app(prog_name='distune')"
    environment = os.environ | {"DISTUNE_HOME": str(home)} | asked
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("distune status ", ["first", "second"]),
        ("distune ui f", ["first"]),
        ("distune export first --student ", ["tiny_conv", "resnet18"]),
        ("distune export first --student t", ["tiny_conv"]),
        ("distune export second --student ", ["mobilenetv3", "resnet18", "tiny_conv"]),
        ("distune confirm nowhere --student r", ["resnet18"]),
        ("distune sweep sweep.yaml --warm-start s", ["second"]),
        ("distune doc", ["doctor"]),
    ],
)
def test_sweeps_students_and_commands_are_completed(home: Path, line: str, words: list[str]):
    assert offered(home, line) == words


def test_asking_makes_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISTUNE_HOME", str(tmp_path / "home"))
    assert complete_sweeps("") == [] and not (tmp_path / "home").exists()
