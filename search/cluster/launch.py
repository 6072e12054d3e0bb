"""Jobs that train: one a sweep at a time, started on the head, followed from here, and what became of them."""

import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from search.cluster.errand import run_errand
from search.cluster.frames import KIND, Frame
from search.cluster.head import Head, HeadError
from search.cluster.notes import Submission, note
from search.cluster.order import Order
from search.cluster.pack import packed
from search.home import Home
from spaces.errors import Fault, InputError

if TYPE_CHECKING:
    from ray.job_submission import JobDetails

SWEEP_KEY = "distune.sweep"  # of a job's metadata
FAILED, INTERRUPTED = 1, 130
PATIENCE_SECONDS, SECONDS_BETWEEN_LOOKS = 10, 0.5  # with a job that may be about to end


def launch(head: Head, home: Home, name: str, order: Order) -> Submission:
    """Start a job that works on the sweep ``name``, and remember it.

    Raises:
        InputError: one does already.
    """
    jobs = head.jobs()
    # One that was stopped a moment ago has its process to end yet.
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (busy := _at_work(jobs, name)) and time.monotonic() < deadline:
        time.sleep(SECONDS_BETWEEN_LOOKS)
        jobs = head.jobs()
    if busy:
        remedy = f"job {busy.submission_id} works on it at {head.address}; follow it with `distune logs {name} -f`, " \
                 f"end it with `distune stop {name}`, or give another --name"  # fmt: skip
        raise InputError(Fault("sweep", "name", name, remedy))
    with packed(order) as environment:
        job_name = f"distune-{name}-{_next_number(jobs, name)}"
        submission = Submission.now(name, head.address, head.run(environment, {SWEEP_KEY: name}, job_name))
    note(home, submission)
    return submission


def follow(head: Head, submission: Submission, as_json: bool = False) -> int:
    """Show a job as if it ran here, until it ends or the user has seen enough.

    Returns:
        Its command's exit status, or that of an interrupt: the job goes on then.
    """
    from search.cluster.watch import watch

    goes_on = f"job {submission.job} goes on at {head.address}; look with: distune status {submission.name}; " \
              f"end it with: distune stop {submission.name}"  # fmt: skip
    try:
        end = watch(head.frames(submission.job), as_json)
    except KeyboardInterrupt:
        print(goes_on, file=sys.stderr)
        return INTERRUPTED
    except HeadError as error:
        raise HeadError(f"{error}; as far as is known, {goes_on}") from None
    if end.has_results:
        run_errand(head, Order(["status", submission.name], head.ray_version))
    if end.status is None:
        tell_end(head, submission)
    return FAILED if end.status is None else end.status


def tell_end(head: Head, submission: Submission, began: bool = False) -> None:
    """Tell on standard error of a job that failed, or with ``began`` of one that has not come far."""
    job = head.job(submission.job)
    if job is None:
        return
    if not job.status.is_terminal():
        if began:
            told = "is only beginning, or about to end; ask again in a moment"
            print(f"its job {submission.job} {told}", file=sys.stderr)
        return
    if job.driver_exit_code not in (0, INTERRUPTED):
        status = "" if job.driver_exit_code is None else f" with status {job.driver_exit_code}"
        print(f"its job {submission.job} ended{status}", *_last_words(head, job), sep="\n  ", file=sys.stderr)


def _at_work(jobs: Sequence["JobDetails"], name: str) -> "JobDetails | None":
    return next(
        (job for job in jobs if (job.metadata or {}).get(SWEEP_KEY) == name and not job.status.is_terminal()), None
    )


def _next_number(jobs: Sequence["JobDetails"], name: str) -> int:
    """Ray takes a job's name once, so that of two that submit at this moment one is refused."""
    found = [re.fullmatch(rf"distune-{re.escape(name)}-(\d+)", job.submission_id or "") for job in jobs]
    return 1 + max((int(match[1]) for match in found if match), default=0)


def _last_words(head: Head, job: "JobDetails") -> list[str]:
    """Why it ended: by its own error, else by what it wrote to standard error, else by what Ray knows."""
    frames = head.said(job.submission_id or "")
    if told := list(_errors(frames)):
        return told
    if written := "".join(frame["text"] for frame in frames if frame[KIND] == "err").splitlines()[-10:]:
        return written
    return (job.message or "").splitlines()[-10:]


def _errors(frames: Sequence[Frame]) -> Iterator[str]:
    from search.cluster.watch import last_words

    for frame in frames:
        for line in frame["text"].splitlines() if frame[KIND] == "out" else ():
            event = json.loads(line) if line.startswith('{"event": "error"') else {}
            yield from last_words(event)
