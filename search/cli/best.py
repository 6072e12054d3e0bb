"""The command line: what a sweep found, as YAML, and that one trial again."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.complete import complete_students
from search.cli.options import Name, try_file, write_whole
from spaces.errors import COMMAND_LINE, Fault, gathering, refuse


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


def reproduce(file: Annotated[Path, typer.Argument(metavar="BEST.yaml", help="a file that export wrote")]) -> None:
    """Run the one trial of an exported file again, here, and compare."""
    from search.reproduce import print_comparison, reproduce_trial

    print_comparison(reproduce_trial(file))
