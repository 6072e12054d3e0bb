"""The command line: what trains. A sweep from its file, a recorded one gone on with, its winners confirmed."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from search.cli.complete import complete_students, complete_sweeps
from search.cli.options import JsonOption, Name, naming_options
from search.cli.steer import known_folder
from search.cli.sweeping import bring_up, confirmed_status, reporting, tell_results
from spaces.documents import read_yaml
from spaces.errors import Fault, gathering, refuse
from spaces.sweep import SweepConfig, parse_overrides

SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change a key of the file; may be repeated")
]


def sweep(
    file: Annotated[Path, typer.Argument(metavar="SWEEP.yaml", help="the sweep file")],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="record under another name than the file's")] = None,
    changes: SetOption = None,
    warm_start: Annotated[
        list[str] | None,
        typer.Option(
            "--warm-start",
            metavar="NAME[/STUDENT]",
            help="also run the best trials of an earlier sweep; may be repeated",
            autocompletion=complete_sweeps,
        ),
    ] = None,
    allow_weak_teacher: Annotated[bool, typer.Option("--allow-weak-teacher", help="insist on a weak teacher")] = False,
    confirming: Annotated[bool, typer.Option("--confirm/--no-confirm", help="confirm the winners at the end")] = True,
    profiled: Annotated[bool, typer.Option("--profile", help="show where the seconds went")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run a sweep; the same command resumes one that was interrupted and extends one that is done."""
    with reporting(as_json, _again()) as out:
        overrides = overrides_of(file, changes or [])
        if name is not None:
            overrides["name"] = name
        if warm_start:
            overrides["search.warm_start"] = warm_start
        if allow_weak_teacher:
            overrides["teacher.allow_weak"] = True
        if not confirming:
            overrides["confirm.enabled"] = False
        bring_up(SweepConfig.load(file, overrides), out, profiled)


def resume(
    name: Name,
    confirming: Annotated[
        bool | None, typer.Option("--confirm/--no-confirm", help="confirm the winners; by default as last time")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Go on with a recorded sweep, as it was last started."""
    with reporting(as_json, _again()) as out:
        folder = known_folder(name)
        overrides = {} if confirming is None else {"confirm.enabled": confirming}
        bring_up(SweepConfig.load(folder.sweep_file, overrides), out)


def confirm(
    name: Name,
    student: Annotated[
        str | None,
        typer.Option(metavar="STUDENT", help="whose winner; by default the file's", autocompletion=complete_students),
    ] = None,
    top: Annotated[int | None, typer.Option(metavar="N", help="trials a student; by default the file's")] = None,
    seeds: Annotated[int | None, typer.Option(metavar="N", help="runs an arm; by default the file's")] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a sweep's best trials to the end on several seeds, beside no distillation and logits alone.

    The test clips are read here, once a run. What has been confirmed is only shown; more seeds or trials are added.
    """
    from search.confirm.run import confirm_sweep

    given = {"confirm.top": top, "confirm.seeds": seeds}
    changes = {key: value for key, value in given.items() if value is not None}
    with reporting(as_json, _again()) as out, naming_options({"confirm.top": "--top", "confirm.seeds": "--seeds"}):
        results = confirm_sweep(name, student, changes, out.steps, out.show)
        tell_results(results, out, status=confirmed_status(results))


def _again() -> str:
    """The command as it was given, which goes on with what it began."""
    return shlex.join(["distune", *sys.argv[1:]])


def overrides_of(file: Path, changes: list[str]) -> dict[str, Any]:
    """What --set says, refused together with a file that cannot be read.

    Raises:
        InputError: either.
    """
    faults: list[Fault] = []
    overrides: dict[str, Any] = {}
    with gathering(faults):
        overrides = parse_overrides(changes)
    if faults:
        # Whether its keys are right may hang on --set.
        with gathering(faults):
            read_yaml(file)
    refuse(faults)
    return overrides
