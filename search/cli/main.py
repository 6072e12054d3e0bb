"""The command line: sweeps. `data` and `teacher` hold the commands about clips and teachers."""

import errno
import logging
import os
import shlex
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from search.cli import data, doctor, report, teacher, ui
from search.cli.complete import complete_students, complete_sweeps
from search.cli.options import Name, naming_options, try_file, write_whole
from search.log import PACKAGES
from search.tracking.settings import settle_mlflow
from spaces.errors import COMMAND_LINE, Fault, InputError, gathering, read_yaml, refuse
from spaces.sweep import SweepConfig, parse_overrides

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False,
                  help="Search for the best way to distil a large speech model into a wake-word student.")  # fmt: skip
app.add_typer(data.app, name="data")
app.add_typer(teacher.app, name="teacher")
app.command(epilog="Example: distune ui hey-sirius")(ui.ui)
app.command(epilog="Example: distune doctor sweep.yaml")(doctor.doctor)
app.command(epilog="Example: distune report hey-sirius -o hey-sirius.html")(report.report)

FAILED, REFUSED, INTERRUPTED = 1, 2, 130
DISK_FAULTS = {
    errno.ENOSPC: "the disk is full; free some room, or set DISTUNE_HOME to another disk",
    errno.EDQUOT: "your quota of the disk is used up; free some room, or set DISTUNE_HOME to another disk",
    errno.EACCES: "no permission to write there; choose another place, or set DISTUNE_HOME to a folder of your own",
    errno.EROFS: "that disk is read-only; choose another place, or set DISTUNE_HOME to another disk",
}

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
            autocompletion=complete_sweeps,
        ),
    ] = None,
    allow_weak_teacher: Annotated[bool, typer.Option("--allow-weak-teacher", help="insist on a weak teacher")] = False,
    confirming: Annotated[bool, typer.Option("--confirm/--no-confirm", help="confirm the winners at the end")] = True,
    profiled: Annotated[bool, typer.Option("--profile", help="show where the seconds went")] = False,
) -> None:
    """Run a sweep; the same command resumes one that was interrupted and extends one that is done."""
    faults: list[Fault] = []
    with gathering(faults):
        overrides = parse_overrides(changes or [])
    if faults:
        # Whether its keys are right may hang on --set.
        with gathering(faults):
            read_yaml(file)
    refuse(faults)
    if name is not None:
        overrides["name"] = name
    if warm_start:
        overrides["search.warm_start"] = warm_start
    if allow_weak_teacher:
        overrides["teacher.allow_weak"] = True
    if not confirming:
        overrides["confirm.enabled"] = False
    config = SweepConfig.load(file, overrides)
    from search.run.profile import Profile
    from search.screen.front import front_table
    from search.screen.summary import print_summary
    from search.sweep import Sweep

    profile = Profile()
    results = Sweep(config).run(profile=profile)
    if profiled:
        Console().print(profile.table())
    if config.objective.size:
        Console().print(front_table(results))
    print_summary(results, again=shlex.join(["distune", *sys.argv[1:]]))
    if (results.n_missing and not results.limit_reached) or results.n_unconfirmed:
        raise typer.Exit(INTERRUPTED)
    if results.winner() is None:
        raise typer.Exit(FAILED)


@app.command(epilog="Example: distune confirm hey-sirius --seeds 5")
def confirm(
    name: Name,
    student: Annotated[
        str | None,
        typer.Option(metavar="STUDENT", help="whose winner; by default the file's", autocompletion=complete_students),
    ] = None,
    top: Annotated[int | None, typer.Option(metavar="N", help="trials a student; by default the file's")] = None,
    seeds: Annotated[int | None, typer.Option(metavar="N", help="runs an arm; by default the file's")] = None,
) -> None:
    """Train a sweep's best trials to the end on several seeds, beside no distillation and logits alone.

    The test clips are read here, once a run. What has been confirmed is only shown; more seeds or trials are added.
    """
    from search.confirm.run import confirm_sweep
    from search.screen.summary import print_summary

    given = {"confirm.top": top, "confirm.seeds": seeds}
    with naming_options({"confirm.top": "--top", "confirm.seeds": "--seeds"}):
        results = confirm_sweep(name, student, {key: value for key, value in given.items() if value is not None})
    print_summary(results, again=shlex.join(["distune", *sys.argv[1:]]))
    if results.n_unconfirmed:
        raise typer.Exit(INTERRUPTED)
    if not any(found.winner for found in results.confirmed.values()):
        raise typer.Exit(FAILED)


@app.command(epilog="Example: distune export hey-sirius --student tiny_conv -o best.yaml")
def export(
    name: Name,
    student: Annotated[
        str | None,
        typer.Option(
            metavar="STUDENT", help="whose best; by default the best of all students", autocompletion=complete_students
        ),
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


@app.command(epilog="Example: distune status hey-sirius")
def status(
    name: Name,
    front: Annotated[bool, typer.Option("--front", help="show the trials that are worth their size too")] = False,
) -> None:
    """Show how far a sweep is and what is best so far."""
    from search.home import open_home
    from search.record.results import SweepResults
    from search.screen.front import front_table
    from search.screen.summary import print_summary

    folder = open_home().sweep(name)
    results = SweepResults.read(folder)
    if front or results.sweep.objective.size:
        Console().print(front_table(results))
    print_summary(results, again=shlex.join(["distune", "sweep", str(folder.sweep_file)]))


@app.command("list", epilog="Example: distune list")
def list_sweeps() -> None:
    """Name the sweeps recorded in distune's home."""
    from search.home import open_home

    home = open_home()
    names = home.sweep_names()
    print("\n".join(names) if names else f"no sweep in {home.root} yet")


class _StandardError(logging.Handler):
    """Messages on the standard error of the moment, which a live table replaces with its own, unwrapped."""

    def emit(self, record: logging.LogRecord) -> None:
        kind = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        print(f"{kind}{self.format(record)}", file=sys.stderr)


def _quieten_libraries() -> None:
    """Leave out what only a library's developers can act on."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[_StandardError()])
    for package in PACKAGES:
        logging.getLogger(package).setLevel(logging.INFO)
    # It tells every retry of a hub that is out of reach; what comes of them is reported.
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
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
        if error.errno not in DISK_FAULTS:
            raise
        _refuse(Fault(str(error.filename or "writing"), "", None, DISK_FAULTS[error.errno]))


def _refuse(*faults: Fault) -> None:
    for fault in faults:
        print(f"refused: {fault}", file=sys.stderr)
    sys.exit(REFUSED)


if __name__ == "__main__":
    main()
