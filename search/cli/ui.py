"""``distune ui``: a sweep in the browser, in MLflow's UI or in Optuna's dashboard."""

import sys
from typing import Annotated

import typer

from search.cli.complete import complete_sweeps
from search.cli.options import FAILED

PAGES = "pages"  # in distune's home: which of these run


def ui(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="the sweep's name; none: all sweeps", autocompletion=complete_sweeps),
    ] = None,
    optuna: Annotated[bool, typer.Option("--optuna", help="Optuna's dashboard on the same record")] = False,
    port: Annotated[int | None, typer.Option(metavar="PORT", help="by default a free one")] = None,
    host: Annotated[
        str | None, typer.Option(metavar="HOST", help="address to listen on, such as 0.0.0.0; by default loopback")
    ] = None,
    browser: Annotated[bool, typer.Option(help="open a browser where there is one")] = True,
) -> None:
    """Open the MLflow UI at a sweep, or find the one that runs; Ctrl-C ends it."""
    from search.home import open_home
    from search.pages.dashboard import open_dashboard
    from search.pages.mlflow_ui import open_ui
    from search.pages.page import LOOPBACK, Showing
    from search.record.results import SweepResults
    from spaces.errors import COMMAND_LINE, Fault, InputError

    home = open_home()
    if optuna and name is None:
        known = ", ".join(home.sweep_names()) or "none yet"
        remedy = f"is missing: Optuna's dashboard shows one sweep; those recorded here: {known}"
        raise InputError(Fault(COMMAND_LINE, "NAME", None, remedy))
    results = SweepResults.read(home.sweep(name)) if name else None
    showing = Showing(home.root / PAGES, port, host or LOOPBACK, browser)
    try:
        if optuna and name:
            open_dashboard(home.sweep(name).journal, showing)
        else:
            uri = results.sweep.tracking.uri if results else None
            open_ui(uri or home.tracking_uri, name, showing)
    except RuntimeError as error:
        print(f"failed: {error}", file=sys.stderr)
        raise typer.Exit(FAILED) from None
