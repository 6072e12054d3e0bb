"""``distune doctor``: what on this machine would make a sweep fail, and what to do about it."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from search.cli.options import FAILED, JsonOption
from spaces.sweep import SweepConfig

if TYPE_CHECKING:
    from search.doctor.finding import Finding

COLOURS = {"fine": "green", "advice": "yellow", "mend": "bold red"}
WIDTH = max(map(len, COLOURS))


def doctor(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="SWEEP.yaml", help="look at what this sweep needs; by default at a plain one's"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look for what would make a sweep fail: versions, GPUs, disk, store, teacher, ports, clock, cluster.

    Each line that is not fine has its remedy; the status is 1 where something must be mended. A server's store is tried
    by writing an experiment of your own, distune-doctor, and deleting it again.
    """
    sweep = SweepConfig.load(file) if file else None
    from search.doctor.examine import examine, subject_of
    from search.doctor.finding import Verdict
    from search.home import open_home

    findings = []
    console = Console(highlight=False, markup=False)
    for finding in examine(subject_of(open_home(), sweep)):
        findings.append(finding)
        if not as_json:
            _tell(console, finding)
    broken = [finding for finding in findings if finding.verdict is Verdict.MEND]
    if as_json:
        for finding in findings:
            print(json.dumps(dataclasses.asdict(finding)))
    elif broken:
        console.print(f"\n{len(broken)} of {len(findings)} must be mended before a sweep can run.")
    else:
        console.print("\nNothing stands in the way of a sweep.")
    if broken:
        raise typer.Exit(FAILED)


def _tell(console: Console, finding: "Finding") -> None:
    told = Text(f"{finding.what}: {finding.told}" + (f"\n-> {finding.remedy}" if finding.remedy else ""))
    line = Table.grid(padding=(0, 2))
    line.add_column(width=WIDTH)
    line.add_column(overflow="fold")
    line.add_row(Text(finding.verdict, COLOURS[finding.verdict]), told)
    if console.is_terminal:
        console.print(line)
    else:
        # One line a finding and a remedy, however long, for whoever reads them by program.
        print(f"{finding.verdict:<{WIDTH}}  {told.plain}".replace("\n", f"\n{'':<{WIDTH}}  "))
