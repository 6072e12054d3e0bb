"""The command line: sweeps. `cli_data` and `cli_teacher` hold the commands about clips and teachers."""

import errno
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

from search import cli_data, cli_teacher
from search.mlflow_settings import settle_mlflow
from spaces.errors import Fault, InputError
from spaces.sweep import parse_overrides

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False,
                  help="Search for the best way to distil a large speech model into a wake-word student.")  # fmt: skip
app.add_typer(cli_data.app, name="data")
app.add_typer(cli_teacher.app, name="teacher")

REFUSED, FAILED, INTERRUPTED = 2, 1, 130
UNWRITABLE = {errno.ENOSPC: "the disk is full; free some room", errno.EACCES: "no permission to write there",
              errno.EROFS: "that disk is read-only"}  # fmt: skip

Name = Annotated[str, typer.Argument(metavar="NAME", help="the sweep's name")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change a key of the file; may be repeated")
]


@app.command(epilog="Example: distune sweep sweep.yaml --set budget.trials=40")
def sweep(
    file: Annotated[Path, typer.Argument(metavar="SWEEP.yaml", help="the sweep file")],
    name: Annotated[str | None, typer.Option(help="record under another name than the file's")] = None,
    changes: SetOption = None,
    allow_weak_teacher: Annotated[bool, typer.Option("--allow-weak-teacher", help="insist on a weak teacher")] = False,
) -> None:
    """Run a sweep; the same command resumes one that was interrupted and extends one that is done."""
    from search.summary import print_summary
    from search.sweep import Sweep

    overrides = parse_overrides(changes or [])
    if name:
        overrides["name"] = name
    if allow_weak_teacher:
        overrides["teacher.allow_weak"] = True
    results = Sweep.load(file, overrides).run()
    print_summary(results, again=" ".join(["distune", *sys.argv[1:]]))
    if results.n_missing:
        raise typer.Exit(INTERRUPTED)


@app.command(epilog="Example: distune export hey-sirius --student tiny_conv -o best.yaml")
def export(
    name: Name,
    student: Annotated[str | None, typer.Option(help="whose best; by default the best of all students")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="file to write; by default the screen")] = None,
) -> None:
    """Write a sweep's best configuration as the YAML that the wake-word platform loads."""
    from search.export import export_yaml
    from search.home import open_home
    from search.results import SweepResults

    results = SweepResults.read(open_home().sweep(name))
    if student and student not in results.sweep.students:
        remedy = f"is no student of this sweep; choose among {', '.join(results.sweep.students)}"
        raise InputError(Fault("command line", "--student", student, remedy))
    best = results.best(student) if student else results.winner()
    if best is None:
        raise InputError(Fault("command line", "NAME", name, "has no finished trial yet; run the sweep to its end"))
    text = export_yaml(results, best)
    if output is None:
        print(text, end="")
    else:
        output.write_text(text, encoding="utf-8")
        print(f"{best.student}, trial {best.number}: {output}")


@app.command(epilog="Example: distune reproduce best.yaml")
def reproduce(file: Annotated[Path, typer.Argument(metavar="BEST.yaml", help="a file that export wrote")]) -> None:
    """Run the one trial of an exported file again, here, and compare."""
    from search.reproduce import print_comparison, reproduce_trial

    print_comparison(reproduce_trial(file))


@app.command(epilog="Example: distune status hey-sirius")
def status(name: Name) -> None:
    """Show how far a sweep is and what is best so far."""
    from search.home import open_home
    from search.results import SweepResults
    from search.summary import print_summary

    print_summary(SweepResults.read(open_home().sweep(name)), again="distune sweep with its file")


@app.command("list")
def list_sweeps() -> None:
    """Name the sweeps recorded in distune's home."""
    from search.home import open_home

    home = open_home()
    names = home.sweep_names()
    print("\n".join(names) if names else f"no sweep in {home.root} yet")


@app.command(epilog="Example: distune ui hey-sirius")
def ui(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="the sweep's name; none: all sweeps")] = None,
    port: Annotated[int | None, typer.Option(help="on loopback; by default a free one")] = None,
    browser: Annotated[bool, typer.Option(help="open a browser where there is one")] = True,
) -> None:
    """Start the MLflow UI on the sweeps; Ctrl-C ends it."""
    from search.home import open_home
    from search.results import SweepResults
    from search.ui import open_ui

    home = open_home()
    uri = SweepResults.read(home.sweep(name)).sweep.tracking.uri if name else None
    open_ui(uri or home.tracking_uri, name, port, browser)


def main() -> None:
    """The ``distune`` command: 0 success, 1 the work failed, 2 the input was refused."""
    # MLflow, Ray and Optuna each log at INFO what only their developers can act on.
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[RichHandler(
        console=Console(stderr=True), show_time=False, show_path=False, show_level=False)])  # fmt: skip
    for package in ("search", "trainables", "spaces"):
        logging.getLogger(package).setLevel(logging.INFO)
    settle_mlflow()
    try:
        app()
    except InputError as error:
        for fault in error.faults:
            print(f"refused: {fault}", file=sys.stderr)
        sys.exit(REFUSED)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        print(f"refused: {Fault(str(error.filename or ''), '', None, UNWRITABLE[error.errno])}", file=sys.stderr)
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()
