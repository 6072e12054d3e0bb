"""The command line's `report`: a sweep as one page to send to a colleague."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import Name


def report(
    name: Name,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="the page; by default NAME.html, here")
    ] = None,
) -> None:
    """Write a sweep's report, running or done: one HTML file that needs no network, and a Markdown twin beside it."""
    from search.home import open_home
    from search.report.write import write_report

    page, twin = write_report(open_home().sweep(name), output or Path(f"{name}.html"))
    print(f"report: {page}\nas Markdown: {twin}")
