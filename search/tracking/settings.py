"""How MLflow behaves inside distune: quiet, local, and quick to say that a server is away."""

import logging
import os
from urllib.parse import unquote, urlsplit

MLFLOW_SETTINGS = {
    # Usage statistics would leave the machine.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # MLflow's own 7 retries take four minutes, during which nothing else is written and a lost answer to
    # create_run makes a second run. The writer of tracking.py retries, and looks before it creates.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


USER, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"


def login_set_apart(uri: str) -> str:
    """A server's address without the login in it, which goes to where MLflow looks for one: the environment.

    Left in the address, it would reach runs and points, and no artifact.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or parts.username is None:
        return uri
    os.environ[USER], os.environ[PASSWORD] = unquote(parts.username), unquote(parts.password or "")
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def settle_mlflow() -> None:
    """Apply the settings to this process; what the user has set in the environment stays.

    Telemetry is only off for good where this runs before the first import of mlflow.
    """
    for key, value in MLFLOW_SETTINGS.items():
        os.environ.setdefault(key, value)
    for name in ("alembic", "mlflow.store.db.utils"):
        # The writer reports what fails, once; these two tell every migration and print a traceback a retry.
        logging.getLogger(name).setLevel(logging.CRITICAL)
