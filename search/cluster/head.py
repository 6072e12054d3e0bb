"""A cluster's head, by the jobs API of its dashboard: reached or refused clearly, told what to run, listened to."""

import asyncio
import ipaddress
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from search.cluster.frames import Frame, frames_of
from search.doctor.cluster import MODE, TOKEN, TOKEN_PATH
from search.log import from_distune
from spaces.errors import COMMAND_LINE, Fault, InputError

if TYPE_CHECKING:
    from ray.job_submission import JobDetails

log = logging.getLogger(__name__)

ANSWER_SECONDS = 15  # that a dashboard has to say who it is
ATTEMPTS, SECONDS_BETWEEN_ATTEMPTS = 10, 3.0  # to listen to a job again
SECONDS_BETWEEN_LOOKS = 0.2
ENTRY = "exec python -m search.cluster.entry"
OF_RAY = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")  # Ray prefers these to any address that it is given


class HeadError(ConnectionError):
    """The head does not answer, or not as it was asked; what runs there may well go on."""


class Head:
    """What distune asks of a head. All may raise `HeadError`; ``connect`` makes one.

    Attributes:
        ray_version: of the cluster.
    """

    def __init__(self, address: str, headers: Mapping[str, str], ray_version: str) -> None:
        from ray.job_submission import JobSubmissionClient

        self.address, self.ray_version = address, ray_version
        for handler in logging.getLogger("ray").handlers:
            handler.addFilter(from_distune)  # it tells of each package that it uploads
        with _at_this_address(), self._answering():
            self._client = JobSubmissionClient(address, headers=dict(headers))

    @classmethod
    def connect(cls, address: str) -> Self:
        """The head whose dashboard is at ``address``.

        Raises:
            InputError: there is none, it wants a token or another one, or runs another Ray than this machine.
        """
        _need_extra()
        address = _checked(address)
        headers, ray_version = _greeted(address)
        if headers and _is_open(address):
            log.warning("the token goes to %s as plain text; a tunnel (ssh -L) or https keeps it to you", address)
        return cls(address, headers, ray_version)

    def run(self, environment: dict[str, Any], metadata: Mapping[str, str], job: str | None = None) -> str:
        """Start a command that was packed, see `search.cluster.pack`.

        Args:
            job: its name; by default one of Ray's.

        Raises:
            InputError: a job of that name was started meanwhile.
        """
        with self._answering():
            try:
                return self._client.submit_job(
                    entrypoint=ENTRY, runtime_env=environment, metadata=dict(metadata), submission_id=job
                )
            except RuntimeError as error:
                if job is None or "already exists" not in str(error):
                    raise
                remedy = "was submitted by somebody else at this moment; look with `distune status`"
                raise InputError(Fault(self.address, "job", job, remedy)) from None

    def jobs(self) -> list["JobDetails"]:
        """That were submitted, whoever did."""
        with self._answering():
            return [job for job in self._client.list_jobs() if job.submission_id]

    def job(self, job: str) -> "JobDetails | None":
        """``None`` where the cluster knows no such job, as after it was started anew."""
        try:
            with self._answering():
                return self._client.get_job_info(job)
        except HeadError as error:
            if "404" in str(error):
                return None
            raise

    def frames(self, job: str) -> Iterator[Frame]:
        """What a job says, from its beginning until it ends; where the line breaks, it is listened to again."""
        yield from frames_of(self._log(job))

    def said(self, job: str) -> list[Frame]:
        """What a job has said by now."""
        with self._answering():
            return list(frames_of(iter([self._client.get_job_logs(job)])))

    def forget(self, job: str) -> None:
        """Delete a short job that is over or about to be, so that commands do not pile up in the dashboard."""
        with suppress(HeadError), self._answering():
            for _ in range(int(ANSWER_SECONDS / SECONDS_BETWEEN_LOOKS)):
                if self._client.get_job_info(job).status.is_terminal():
                    self._client.delete_job(job)
                    return
                time.sleep(SECONDS_BETWEEN_LOOKS)

    def end(self, job: str) -> None:
        """End a job, by its process: for commands that change nothing."""
        with self._answering():
            self._client.stop_job(job)

    def _log(self, job: str) -> Iterator[str]:
        """A job's log in pieces, until the job has ended."""
        heard, failed = 0, 0
        while True:
            try:
                for piece, end in _tailed(self._client, job):
                    if end > heard:
                        yield piece[len(piece) - (end - heard) :]
                        heard, failed = end, 0
                return
            except _broken() as error:
                failed += 1
                if failed == ATTEMPTS:
                    raise HeadError(f"{self.address} no longer answers ({_short(error)})") from None
                time.sleep(SECONDS_BETWEEN_ATTEMPTS)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except _broken() as error:
            raise HeadError(f"{self.address} did not answer as a Ray dashboard does ({_short(error)})") from None


def _tailed(client: Any, job: str) -> Iterator[tuple[str, int]]:
    """Pieces of a job's log as they come, each with how many characters there have been with it."""
    end = 0
    with asyncio.Runner() as runner:
        pieces = client.tail_job_logs(job)
        try:
            while (piece := runner.run(_next(pieces))) is not None:
                end += len(piece)
                yield piece, end
        finally:
            runner.run(pieces.aclose())


async def _next(pieces: Any) -> str | None:
    return await anext(pieces, None)


def _broken() -> tuple[type[Exception], ...]:
    """What a head that is away, or a broken line to it, comes as. Ray raises bare RuntimeErrors for what HTTP says."""
    import aiohttp
    import requests

    return aiohttp.ClientError, requests.RequestException, ConnectionError, TimeoutError, RuntimeError


def _short(error: Exception) -> str:
    told = " ".join(str(error).split()) or type(error).__name__
    return told if len(told) <= 200 else f"{told[:200]}..."


def _need_extra() -> None:
    try:
        import aiohttp
        import requests
    except ImportError as error:
        remedy = f'needs {error.name}, by which jobs are sent: pip install "distune[cluster]"'
        raise InputError(Fault(COMMAND_LINE, "--address", None, remedy)) from None
    assert aiohttp and requests


def _checked(address: str) -> str:
    parts = urlsplit(address)
    remedy = None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        remedy = "is no dashboard's address; write http://HEAD:8265, the port of Ray's dashboard"
    elif parts.username is not None:
        address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        remedy = f"has a login in it, and a cluster knows tokens alone; leave it out and set {TOKEN_PATH}"
    if remedy:
        raise InputError(Fault(COMMAND_LINE, "--address", address, remedy))
    return address.rstrip("/")


def _is_open(address: str) -> bool:
    """Whether others could read what is sent there."""
    parts = urlsplit(address)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return False
    try:
        return not ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return True  # a name


def _greeted(address: str) -> tuple[dict[str, str], str]:
    """The headers that the cluster wants, and its version of Ray."""
    mode = os.environ.get(MODE, "")
    headers = _token() if mode == "token" else {}
    answer = _asked(address, headers)
    if answer.status_code == 401 and mode == "" and (found := _token()):
        # Ray shows its token only where it is told to; this cluster asks for it.
        headers, answer = found, _asked(address, found)
    if answer.status_code == 401:
        remedy = f"wants a token: copy the cluster's to ~/.ray/auth_token, with mode 600, or name its file in " \
                 f"{TOKEN_PATH}, and set {MODE}=token"  # fmt: skip
        raise InputError(Fault(COMMAND_LINE, "--address", address, remedy))
    if answer.status_code == 403:
        remedy = f"does not take this token; copy the cluster's to ~/.ray/auth_token, or name its file in {TOKEN_PATH}"
        raise InputError(Fault(COMMAND_LINE, "--address", address, remedy))
    try:
        theirs = str(answer.json()["ray_version"])
    except (ValueError, KeyError, TypeError):
        remedy = f"is no dashboard of Ray's (it answers with status {answer.status_code}); give the head's, port 8265"
        raise InputError(Fault(COMMAND_LINE, "--address", address, remedy)) from None
    _same_ray(address, theirs)
    return headers, theirs


def _asked(address: str, headers: dict[str, str]) -> Any:
    import requests

    try:
        return requests.get(f"{address}/api/version", headers=headers, timeout=ANSWER_SECONDS)
    except requests.RequestException as error:
        reason = "nothing listens there" if "refused" in str(error) else _short(error)
        remedy = f"no cluster answers ({reason}); start it (`ray up cluster.yaml`; its head needs ray[default]), and " \
                 "open the tunnel to it (`ssh -L 8265:127.0.0.1:8265 HEAD`)"  # fmt: skip
        raise InputError(Fault(COMMAND_LINE, "--address", address, remedy)) from None


def _same_ray(address: str, theirs: str) -> None:
    import ray

    if theirs.split(".")[:2] != ray.__version__.split(".")[:2]:
        remedy = f"runs Ray {theirs} and this machine {ray.__version__}; install the cluster's distune here, or this " \
                 "one there"  # fmt: skip
        raise InputError(Fault(COMMAND_LINE, "--address", address, remedy))


def _token() -> dict[str, str]:
    """The header with this machine's token, where it has one; Ray looks in the same places."""
    token = os.environ.get(TOKEN, "")
    file = Path(os.environ.get(TOKEN_PATH) or "~/.ray/auth_token").expanduser()
    if not token and file.is_file() and os.access(file, os.R_OK):
        token = file.read_text(encoding="utf-8")
    return {"Authorization": f"Bearer {token.strip()}"} if token.strip() else {}


@contextmanager
def _at_this_address() -> Iterator[None]:
    """Without the variables that would send Ray's client elsewhere."""
    before = {name: os.environ.pop(name) for name in OF_RAY if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(before)
