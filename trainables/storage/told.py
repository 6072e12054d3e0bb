"""What the clients of buckets raise, as one kind of error: theirs are of many families, few of them an OSError."""

import errno
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

EXTRAS = {"s3": "s3", "gs": "gs"}
CLIENT_ERRORS = {
    "s3": ("botocore.exceptions:BotoCoreError",),
    "gs": ("gcsfs.retry:HttpError", "google.auth.exceptions:GoogleAuthError", "aiohttp:ClientError"),
}
"""What the clients raise beside an OSError, by scheme."""


class StorageError(OSError):
    """Storage does not answer, refuses, or lacks what was there; the message says what and where.

    Its ``errno`` is that of the error behind it, EREMOTEIO where a client has none: storage that is away may come back.
    """

    def __init__(self, message: str, number: int | None = None) -> None:
        super().__init__(number, message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.strerror, self.errno)

    def __str__(self) -> str:
        return str(self.strerror)


@contextmanager
def told(scheme: str, where: str) -> Iterator[None]:
    """What a client of this scheme raises in the block becomes a StorageError that says ``where``."""
    clients = (getattr(importlib.import_module(module), name) for module, name in _client_errors(scheme))
    raised: tuple[type[Exception], ...] = (OSError, *clients)
    try:
        yield
    except StorageError:
        raise
    except raised as error:
        number = error.errno if isinstance(error, OSError) else errno.EREMOTEIO
        message = f"{where}: {str(error) or type(error).__name__}"
        raise StorageError(message, number or errno.EREMOTEIO) from error


class Told:
    """A bucket's file system, or a file open in it, whose every call is `told`.

    For Ray Tune, which uploads checkpoints by itself and knows no client's own errors.
    """

    def __init__(self, asked: Any, scheme: str) -> None:
        self._asked, self._scheme = asked, scheme

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._asked, self._scheme)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Told) and bool(self._asked == other._asked)

    def __hash__(self) -> int:
        return hash(self._asked)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._asked, name)
        if not callable(found):
            return found

        def ask(*arguments: Any, **options: Any) -> Any:
            with told(self._scheme, f"{self._scheme}://{arguments[0] if arguments else ''}"):
                answer = found(*arguments, **options)
            return Told(answer, self._scheme) if name == "open" else answer

        return ask


def _client_errors(scheme: str) -> list[tuple[str, str]]:
    return [(module, name) for module, _, name in (each.partition(":") for each in CLIENT_ERRORS.get(scheme, ()))]
