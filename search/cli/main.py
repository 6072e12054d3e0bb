"""The command line: sweeps. `data` and `teacher` hold the commands about clips and teachers."""

import logging
import os
import shlex
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from search.cli import data, steer, teacher
from search.cli.options import FAILED, REFUSED, JsonOption, Name, disk_fault, naming_options, try_file, write_whole
from search.cli.sweeping import bring_up, confirmed_status, reporting, tell_results
from search.log import PACKAGES, from_distune
from search.tracking.settings import settle_mlflow
from spaces.errors import COMMAND_LINE, Fault, InputError, gathering, read_yaml, refuse
from spaces.sweep import SweepConfig, parse_overrides

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False,
                  help="Search for the best way to distil a large speech model into a wake-word student.")  # fmt: skip
app.add_typer(data.app, name="data")
app.add_typer(teacher.app, name="teacher")
steer.register(app)

SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change a key of the file; may be repeated")
]


@app.command(epilog="Example: distune sweep sweep.yaml --set budget.trials=40")
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
        ),
    ] = None,
    allow_weak_teacher: Annotated[bool, typer.Option("--allow-weak-teacher", help="insist on a weak teacher")] = False,
    confirming: Annotated[bool, typer.Option("--confirm/--no-confirm", help="confirm the winners at the end")] = True,
    profiled: Annotated[bool, typer.Option("--profile", help="show where the seconds went")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run a sweep; the same command resumes one that was interrupted and extends one that is done."""
    with reporting(as_json, _again()) as out:
        overrides = _overrides(file, changes or [])
        if name is not None:
            overrides["name"] = name
        if warm_start:
            overrides["search.warm_start"] = warm_start
        if allow_weak_teacher:
            overrides["teacher.allow_weak"] = True
        if not confirming:
            overrides["confirm.enabled"] = False
        bring_up(SweepConfig.load(file, overrides), out, profiled)


@app.command(epilog="Example: distune confirm hey-sirius --seeds 5")
def confirm(
    name: Name,
    student: Annotated[str | None, typer.Option(metavar="STUDENT", help="whose winner; by default the file's")] = None,
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


@app.command(epilog="Example: distune export hey-sirius --student tiny_conv -o best.yaml")
def export(
    name: Name,
    student: Annotated[
        str | None, typer.Option(metavar="STUDENT", help="whose best; by default the best of all students")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="file to write; by default the screen")
    ] = None,
) -> None:
    """Write a sweep's best configuration as the YAML that the wake-word platform loads."""
    from search.export import export_yaml
    from search.home import open_home
    from search.record.results import SweepResults

    faults: list[Fault] = []
    if output:
        with gathering(faults):
            try_file("--output", output)
    best = None
    with gathering(faults):
        results = SweepResults.read(open_home().sweep(name))
        best = results.to_export(student)
        if student and student not in results.sweep.students:
            remedy = f"is no student of this sweep; choose among {', '.join(results.sweep.students)}"
            faults.append(Fault(COMMAND_LINE, "--student", student, remedy))
        elif best is None:
            remedy = f"no trial of {student or 'its students'} has finished yet; let the sweep run to its end"
            faults.append(Fault(COMMAND_LINE, "NAME", name, remedy))
    refuse(faults)
    assert best is not None  # refused above
    text = export_yaml(results, best)
    if output is None:
        print(text, end="")
    else:
        write_whole("--output", output, text)
        print(f"{best.student}, trial {best.number}: {output}")


@app.command(epilog="Example: distune reproduce best.yaml")
def reproduce(file: Annotated[Path, typer.Argument(metavar="BEST.yaml", help="a file that export wrote")]) -> None:
    """Run the one trial of an exported file again, here, and compare."""
    from search.reproduce import print_comparison, reproduce_trial

    print_comparison(reproduce_trial(file))


@app.command(epilog="Example: distune ui hey-sirius")
def ui(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="the sweep's name; none: all sweeps")] = None,
    port: Annotated[int | None, typer.Option(metavar="PORT", help="on loopback; by default a free one")] = None,
    browser: Annotated[bool, typer.Option(help="open a browser where there is one")] = True,
) -> None:
    """Start the MLflow UI on the sweeps; Ctrl-C ends it."""
    from search.home import open_home
    from search.record.results import SweepResults
    from search.tracking.ui import open_ui

    home = open_home()
    uri = SweepResults.read(home.sweep(name)).sweep.tracking.uri if name else None
    try:
        open_ui(uri or home.tracking_uri, name, port, browser)
    except RuntimeError as error:
        print(f"failed: {error}", file=sys.stderr)
        raise typer.Exit(FAILED) from None


def _again() -> str:
    """The command as it was given, which goes on with what it began."""
    return shlex.join(["distune", *sys.argv[1:]])


def _overrides(file: Path, changes: list[str]) -> dict[str, Any]:
    """What --set says, refused together with a file that cannot be read."""
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


class _StandardError(logging.Handler):
    """Messages on the standard error of the moment, which a live table replaces with its own, unwrapped."""

    def emit(self, record: logging.LogRecord) -> None:
        kind = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        print(f"{kind}{self.format(record)}", file=sys.stderr)


def _quieten_libraries() -> None:
    """Leave out what only a library's developers can act on."""
    shown = _StandardError()
    shown.addFilter(from_distune)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[shown])
    for package in PACKAGES:
        logging.getLogger(package).setLevel(logging.INFO)
    # It tells every retry of a hub that is out of reach; what comes of them is reported.
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
    if not sys.warnoptions:
        # To the log of the sweep that is at work, if one is.
        warnings.simplefilter("default")
        logging.captureWarnings(True)
        os.environ.setdefault("PYTHONWARNINGS", "ignore")
    settle_mlflow()


def main() -> None:
    """The ``distune`` command: 0 success, 1 the work failed, 2 the input was refused, 130 interrupted."""
    _quieten_libraries()
    try:
        app()
    except InputError as error:
        _refuse(*error.faults)
    except OSError as error:
        if (fault := disk_fault(error)) is None:
            raise
        _refuse(fault)


def _refuse(*faults: Fault) -> None:
    for fault in faults:
        print(f"refused: {fault}", file=sys.stderr)
    sys.exit(REFUSED)


if __name__ == "__main__":
    main()
