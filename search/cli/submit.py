"""The command line's `submit`: a sweep as a job on a cluster."""

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import FAILED, JsonOption
from search.cli.sweeps import SetOption, overrides_of
from spaces.errors import COMMAND_LINE, Fault, InputError, gathering, refuse
from spaces.sweep import SweepConfig

if TYPE_CHECKING:
    from search.cluster.notes import Submission
    from search.home import Home

ADDRESS = "RAY_API_SERVER_ADDRESS"  # Ray's own name for it


def submit(
    file: Annotated[Path, typer.Argument(metavar="SWEEP.yaml", help="the sweep file")],
    address: Annotated[
        str | None,
        typer.Option(metavar="URL", help=f"the cluster's dashboard, http://HEAD:8265; by default ${ADDRESS}"),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="record under another name than the file's")] = None,
    changes: SetOption = None,
    following: Annotated[
        bool, typer.Option("--follow", "-f", help="show the sweep until it ends; Ctrl-C leaves it running")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run a sweep as a job on a Ray cluster, with the code that is here; the same command goes on with it.

    Data is not sent: the file names it as the cluster's nodes see it. The token is Ray's, as for all its commands.
    """
    from search.cluster.head import Head, HeadError
    from search.cluster.launch import follow, launch
    from search.cluster.order import Order
    from search.home import open_home

    overrides = overrides_of(file, changes or [])
    sweep = SweepConfig.as_written(file, overrides | ({} if name is None else {"name": name}))
    home = open_home()
    address, files = _checked(address, sweep, file, home)
    try:
        head = Head.connect(address)
        order = Order(["sweep", "--json"], head.ray_version, sweep=sweep.name, files=files)
        submission = launch(head, home, sweep.name, order)
        _tell(submission, as_json)
        status = follow(head, submission, as_json) if following else 0
    except HeadError as error:
        print(f"failed: {error}", file=sys.stderr)
        status = FAILED
    if status:
        raise typer.Exit(status)


def _checked(address: str | None, sweep: SweepConfig, file: Path, home: "Home") -> tuple[str, dict[str, str]]:
    """Where to submit to, and the sweep's files; all faults of both at once."""
    from search.cluster.pack import sweep_files

    faults: list[Fault] = []
    files: dict[str, str] = {}
    with gathering(faults):
        files = sweep_files(sweep, file)
    with gathering(faults):
        address = _address(address, sweep.name, home)
    refuse(faults)
    assert address is not None  # refused above
    return address, files


def _address(given: str | None, name: str, home: "Home") -> str:
    """Where to submit to: what is given, else where this sweep was submitted before.

    Raises:
        InputError: neither, or the sweep is one of this machine.
    """
    from search.cluster.notes import submission_of

    noted = submission_of(home, name)
    if noted is None and home.sweep(name).exists:
        remedy = "is recorded on this machine, and a name is of one sweep: run it here with `distune sweep`, or give " \
                 "another with --name"  # fmt: skip
        raise InputError(Fault(COMMAND_LINE, "--name", name, remedy))
    address = given or (noted and noted.address) or os.environ.get(ADDRESS)
    if not address:
        remedy = f"is missing: name the cluster's dashboard, such as http://127.0.0.1:8265, or set {ADDRESS}"
        raise InputError(Fault(COMMAND_LINE, "--address", None, remedy))
    return address


def _tell(submission: "Submission", as_json: bool) -> None:
    if as_json:
        facts = {"sweep": submission.name, "address": submission.address, "job": submission.job}
        print(json.dumps({"event": "submitted", "time": round(time.time(), 3), **facts}), flush=True)
        return
    name = submission.name
    print(f"submitted {name} to {submission.address} as job {submission.job}")
    print(f"how far it is:   distune status {name}", f"what happens:    distune logs {name} --follow",
          f"end it gently:   distune stop {name}", f"what it found:   distune export {name} -o {name}-best.yaml",
          sep="\n")  # fmt: skip
