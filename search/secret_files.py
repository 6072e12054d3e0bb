"""Files that hold a login or a token: refused where other users can open them, and written so that none can."""

import os
from pathlib import Path

from search.tracking.settings import PASSWORD, USER
from spaces.documents import secret_faults
from spaces.errors import InputError, refuse

RAY_MODE, RAY_TOKEN, RAY_TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
MLFLOW_CREDENTIALS = "~/.mlflow/credentials"  # where MLflow looks for a login that the environment lacks


def refuse_open_secrets() -> None:
    """Refuse files from which Ray or MLflow would take a secret that other users of this machine can read.

    Raises:
        InputError: all such files.
    """
    faults = secret_faults(Path(MLFLOW_CREDENTIALS).expanduser(), instead=f"or set {USER} and {PASSWORD}")
    named = os.environ.get(RAY_TOKEN_PATH)
    if named and _takes_a_file():
        faults += secret_faults(Path(named), instead=f"or set {RAY_TOKEN}")
    refuse(faults)


def narrow_ray_token() -> None:
    """Keep Ray's own token to its user: Ray 2.60 makes ``~/.ray/auth_token`` so that everybody can read it."""
    file = Path("~/.ray/auth_token").expanduser()
    if _takes_a_file() and secret_faults(file) and file.stat().st_uid == os.geteuid():
        file.chmod(0o600)


def write_secret(file: Path, text: str) -> None:
    """Write a file that its owner alone can open, from its first moment on; at any time it is whole, the old or new."""
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
        opened.write(text)
    new.replace(file)


def read_secret(file: Path) -> str | None:
    """What `write_secret` wrote; ``None`` where it wrote nothing.

    Raises:
        InputError: others than its owner can open it.
    """
    if faults := secret_faults(file):
        raise InputError(faults)
    return file.read_text(encoding="utf-8") if file.is_file() else None


def _takes_a_file() -> bool:
    return os.environ.get(RAY_MODE) != "disabled" and not os.environ.get(RAY_TOKEN)
