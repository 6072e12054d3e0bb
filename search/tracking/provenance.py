"""What a run was made with: versions of what decides on results, the working folder's commit, clips and teacher."""

import shutil
import subprocess
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from search.tracking.batch import Inputs

PACKAGES = ("distune", "torch", "ray", "optuna", "mlflow")
TAG_VERSION, TAG_COMMIT, TAG_CHANGED = "distune.version", "mlflow.source.git.commit", "distune.git_changed"
GIT_SECONDS = 10.0


def provenance() -> dict[str, str]:
    """The tags; those of a commit where the working folder is in a git repository that has one."""
    versions = {f"{TAG_VERSION}.{package}": metadata.version(package) for package in PACKAGES}
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return versions
    changed = bool(_git("status", "--porcelain", "--untracked-files=no"))
    return versions | {TAG_COMMIT: commit, TAG_CHANGED: str(changed).lower()}


def inputs_of(facts: Mapping[str, Any]) -> Inputs | None:
    """What a sweep's trials learn from, as its record has it; ``None`` of a record that an older distune began."""
    if not {"clips", "teacher"} <= facts.keys():
        return None
    return Inputs(clips=facts["clips"], teacher=facts["teacher"])


def _git(*arguments: str) -> str | None:
    """What git says; ``None`` where there is no git or nothing to say it of."""
    if shutil.which("git") is None:
        return None
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=GIT_SECONDS)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
