"""What a failed call to MLflow means: that asking again may help, or never will."""

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import DatabaseError

from trainables.patience import may_pass

# What asking again cannot mend; everything else is taken for a server that is away.
REFUSALS = {
    "INVALID_PARAMETER_VALUE",
    "BAD_REQUEST",
    "RESOURCE_DOES_NOT_EXIST",
    "INVALID_STATE",
    "ENDPOINT_NOT_FOUND",  # the server is of an older MLflow
    "NOT_IMPLEMENTED",
}
PASSING = {401, 403, 408, 429}  # answers that a new login or a pause mends


class RefusedError(Exception):
    """The server will never take this, however often it is asked."""


class UnavailableError(Exception):
    """The server does not answer now, and may later."""


@contextmanager
def faults_told_apart() -> Iterator[None]:
    """Let what fails in the block raise one of the two.

    Raises:
        UnavailableError: try again later.
        RefusedError: never try again.
    """
    try:
        yield
    except MlflowException as error:
        lasts = error.error_code in REFUSALS and not _is_unreadable(error.__cause__)
        raise (RefusedError if lasts else UnavailableError)(_line(error)) from error
    except requests.RequestException as error:  # of an artifact's transfer, which MLflow does not translate
        status = error.response.status_code if error.response is not None else 500
        kind = RefusedError if 400 <= status < 500 and status not in PASSING else UnavailableError
        raise kind(_line(error)) from error
    except OSError as error:  # a file that is gone, a folder for artifacts that cannot be written; or a full disk
        raise (UnavailableError if may_pass(error) else RefusedError)(_line(error)) from error


def _is_unreadable(error: BaseException | None) -> bool:
    """Whether a database could not be made out: SQLite says so of a sound one, too, while its disk fails."""
    return type(error) is DatabaseError  # of its subclasses, each says what was wrong with the call


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
