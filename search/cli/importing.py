"""The command line: the platform's configuration as a sweep file."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import try_file, write_whole
from spaces.errors import COMMAND_LINE, Fault, gathering, refuse


def import_(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="a configuration of the wake-word platform")],
    data: Annotated[Path, typer.Option(metavar="PATH", help="the clips to search on: a folder or a manifest")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="sweep file to write; its space is put beside it")
    ] = Path("sweep.yaml"),
) -> None:
    """Make a sweep of a configuration of the platform: it is the first trial, and the middle of what is searched."""
    from search.configuration.importing import import_config

    space_file = output.with_name(f"{output.stem}-space.yaml")
    faults: list[Fault] = []
    if not data.exists():
        faults.append(Fault(COMMAND_LINE, "--data", str(data), "is not there; name a folder of clips, or a manifest"))
    for file in (output, space_file):
        if file.exists():
            remedy = "is there already; name another file, or move that one away"
            faults.append(Fault(COMMAND_LINE, "--output", str(file), remedy))
    if not faults or not output.exists():
        with gathering(faults):
            try_file("--output", output)
    made = None
    with gathering(faults):
        made = import_config(config, data, output, space_file)
    refuse(faults)
    assert made is not None  # refused above
    write_whole("--output", space_file, made.space)
    write_whole("--output", output, made.sweep)
    for note in made.notes:
        print(f"note: {note}")
    print(f"{output} searches around {config}, within {space_file}; go on with: distune sweep {output}")
