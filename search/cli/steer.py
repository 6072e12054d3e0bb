"""The command line: following and steering recorded sweeps, from any terminal."""

import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import FAILED, JsonOption, Name
from spaces.errors import COMMAND_LINE, Fault, InputError

if TYPE_CHECKING:
    from search.home import SweepFolder

SECONDS_BETWEEN_LOOKS = 0.2

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URI",
        help="an MLflow server or database to look in too; by default $MLFLOW_TRACKING_URI and distune's own",
    ),
]


def status(
    name: Name,
    front: Annotated[bool, typer.Option("--front", help="show the trials that are worth their size too")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how far a sweep is and what is best so far."""
    from rich.console import Console

    from search.home import open_home
    from search.overview import find_elsewhere, overview
    from search.record.results import SweepResults
    from search.screen.at_work import at_work_facts, print_at_work
    from search.screen.facts import summary_facts
    from search.screen.front import front_table
    from search.screen.summary import print_summary
    from search.screen.sweeps import print_elsewhere, standing

    console = Console(soft_wrap=True, highlight=False, markup=False)
    home = open_home()
    folder = home.sweep(name)
    if not folder.exists and (found := find_elsewhere(home, store, name)):
        if as_json:
            print(json.dumps(found.facts))
        else:
            print_elsewhere(found, console)
        return
    results = SweepResults.read(folder)
    if as_json:
        facts = summary_facts(results) | at_work_facts(folder, results)
        print(json.dumps({"state": overview(folder).state, **facts}, default=str))
        return
    console.print(standing(folder, results))
    if folder.driver:
        print_at_work(folder, results, console)
    if front or results.sweep.objective.size:
        console.print(front_table(results))
    print_summary(results, again=None if folder.driver else shlex.join(["distune", "resume", name]))


def list_sweeps(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """List the sweeps of distune's home, those submitted, and those that MLflow knows of from elsewhere."""
    from search.cluster.notes import submissions
    from search.home import open_home

    home = open_home()
    folders = [folder for folder in home.sweep_folders() if folder.exists or folder.driver]
    here = {folder.path.name for folder in folders}
    sent = [submission for submission in submissions(home) if submission.name not in here]
    if not folders and not sent and not store and not home.has_store and not os.environ.get("MLFLOW_TRACKING_URI"):
        print("" if as_json else f"no sweep in {home.root} yet", end="" if as_json else "\n")
        return
    from rich.console import Console

    from search.overview import elsewhere, overview, submitted
    from search.screen.sweeps import sweeps_table

    rows = [overview(folder) for folder in folders] + [submitted(submission) for submission in sent]
    rows += elsewhere(home, store, {row.name for row in rows})
    if as_json:
        for row in rows:
            print(json.dumps(row.facts))
    elif rows:
        Console().print(sweeps_table(rows))
    else:
        print(f"no sweep in {home.root} yet")


def logs(
    name: Name,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on until the sweep's driver is done")] = False,
    lines: Annotated[
        int | None, typer.Option("--lines", "-n", metavar="N", help="only the last; by default all")
    ] = None,
) -> None:
    """Show what happened to a sweep's trials, a line an event."""
    folder = known_folder(name)
    shown = folder.log.read_text(encoding="utf-8", errors="replace") if folder.log.exists() else ""
    kept = shown.splitlines(keepends=True)
    sys.stdout.write("".join(kept if lines is None else kept[max(0, len(kept) - lines) :]))
    if follow:
        sys.stdout.flush()  # a pipe would have it with what is added next
        for text in _appended(folder, len(shown.encode(errors="replace"))):
            sys.stdout.write(text)
            sys.stdout.flush()


def stop(
    name: Name,
    now: Annotated[
        bool, typer.Option("--now", help="do not wait for epochs under way: as Ctrl-C, back to the last checkpoints")
    ] = False,
) -> None:
    """Stop a sweep that is running, from another terminal, and wait until it has.

    Each trial at work ends its epoch and saves a checkpoint, from which it goes on when the sweep is resumed.
    """
    from search.driver import ask_to_stop
    from search.home import open_home

    folder = open_home().sweep(name)
    driver = folder.driver
    if driver is None:
        known_folder(name)
        print(f"nobody is running {name}; distune status {name} shows how far it is")
        raise typer.Exit(FAILED)
    ask_to_stop(folder.path)
    if now:
        _interrupt(name, driver.pid, driver.is_here, driver.host)
    else:
        print(f"asked process {driver.pid} on {driver.host} to stop; waiting for its trials to save what they have")
    while folder.driver == driver:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    _tell_stopped(folder)


def known_folder(name: str) -> "SweepFolder":
    """The folder of a recorded sweep.

    Raises:
        InputError: there is none.
    """
    from search.home import NOT_RECORDED, open_home

    home = open_home()
    folder = home.sweep(name)
    if folder.exists:
        return folder
    from search.overview import find_elsewhere

    if found := find_elsewhere(home, None, name):
        remedy = f"runs from another home, as MLflow at {found.store} has it; set DISTUNE_HOME to that one"
        raise InputError(Fault(COMMAND_LINE, "NAME", name, remedy))
    raise InputError(Fault(COMMAND_LINE, "NAME", name, NOT_RECORDED))


def _appended(folder: "SweepFolder", offset: int) -> Iterator[str]:
    """What is added to the sweep's log behind ``offset`` bytes, until nobody runs the sweep."""
    while True:
        running = folder.driver
        if folder.log.exists():
            with folder.log.open("rb") as file:
                file.seek(offset)
                added = file.read()
            # A line that is half written is shown when it is whole.
            whole = added[: added.rfind(b"\n") + 1]
            offset += len(whole)
            if whole:
                yield whole.decode(errors="replace")
        if not running:
            return
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _interrupt(name: str, pid: int, is_here: bool, host: str) -> None:
    if not is_here:
        remedy = f"runs on {host}; stop it without --now, or interrupt process {pid} there"
        raise InputError(Fault(COMMAND_LINE, "NAME", name, remedy))
    with suppress(ProcessLookupError):  # it ended meanwhile
        os.kill(pid, signal.SIGTERM)


def _tell_stopped(folder: "SweepFolder") -> None:
    if not folder.exists:
        print("stopped before its first trial; the same command goes on, and what was prepared is kept")
        return
    from search.record.results import SweepResults

    results = SweepResults.read(folder)
    left = results.n_missing or results.n_unconfirmed
    if left:
        print(f"stopped; trials yet to end: {left}; go on with: distune resume {folder.path.name}")
    else:
        print("it ended by itself meanwhile; nothing is left to do")
