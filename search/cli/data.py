"""``distune data``: checking clips, and synthesising a wake-word set."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from search.cli.options import OutsideOption, naming_options, try_new_folder
from search.screen.steps import shown_steps, silent_steps
from spaces.errors import Fault, gathering, refuse
from spaces.sections import Data

if TYPE_CHECKING:
    from trainables.audio.report import DataReport

app = typer.Typer(no_args_is_help=True, help="Look at clips, or make some.")

CHECK_OPTIONS = {"data.path": "PATH", "data.keyword": "--keyword", "data.max_unreadable": "--max-unreadable",
                 "path": "PATH", "keyword": "--keyword", "max_unreadable": "--max-unreadable"}  # fmt: skip
SYNTH_OPTIONS = {"n_positive": "--positives", "n_hard_negative": "--hard-negatives", "n_negative": "--negatives",
                 "phrase": "--phrase", "seed": "--seed"}  # fmt: skip


@app.command(epilog="Example: distune data check recordings/ --json")
def check(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="a folder of clips, or a manifest")],
    keyword: Annotated[
        str | None, typer.Option(metavar="WORD", help="the wake word, in a Speech Commands folder")
    ] = None,
    max_unreadable: Annotated[
        float, typer.Option(metavar="SHARE", help="share of unreadable files that is tolerated, 0 to 1")
    ] = 0.01,
    allow_outside: OutsideOption = False,
    json: Annotated[bool, typer.Option("--json", help="print the report as JSON")] = False,
) -> None:
    """Read every clip and report counts, hours, speakers, and what is wrong."""
    from trainables.audio.check import check_data

    with naming_options(CHECK_OPTIONS):
        faults: list[Fault] = []
        with gathering(faults):
            data = Data(
                path=path.resolve(), keyword=keyword, max_unreadable=max_unreadable, allow_outside=allow_outside
            )
        refuse(faults)
        with (silent_steps if json else shown_steps)("reading clips") as progress:
            report = check_data(data, progress)
        if json:
            print(report.model_dump_json(indent=2))
        else:
            _print_report(path, report)
        refuse(report.faults)


def _print_report(path: Path, report: "DataReport") -> None:
    console = Console(soft_wrap=True, highlight=False, markup=False)
    counts = report.table_rows()
    if any(positive or negative for _, positive, negative, *_ in counts):
        console.print(f"{path}: {report.layout}")
        table = Table("split")
        for column in ("positive", "negative", "of them hard", "hours", "speakers"):
            table.add_column(column, justify="right")
        for split, positive, negative, hard, hours, speakers in counts:
            table.add_row(split, str(positive), str(negative), str(hard), f"{hours:.2f}", str(speakers))
        console.print(table)
    for file, reason in report.unreadable.items():
        console.print(f"unreadable: {file}: {reason}")
    for note in report.notes:
        console.print(f"note: {note}")


@app.command(epilog='Example: distune data synth --phrase "hey sirius" --out data/')
def synth(
    phrase: Annotated[str, typer.Option(metavar="TEXT", help="the wake phrase, in English")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="folder to make")],
    positives: Annotated[int | None, typer.Option(metavar="N", help="clips of the phrase")] = None,
    hard_negatives: Annotated[int | None, typer.Option(metavar="N", help="clips of near misses")] = None,
    negatives: Annotated[int | None, typer.Option(metavar="N", help="clips of other words and sentences")] = None,
    hard_negative: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="a near miss; may be repeated; by default phoneme edits of the phrase"),
    ] = None,
    negative: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="another word or sentence; may be repeated; by default everyday English"),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="the same seed writes the same bytes")] = 0,
) -> None:
    """Synthesise a wake-word set in many voices, with splits that share no voice."""
    from trainables.audio.script import SynthesisRequest
    from trainables.audio.synthesis import synthesise

    given = {"n_positive": positives, "n_hard_negative": hard_negatives, "n_negative": negatives}
    asked: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    asked |= {"hard_negatives": tuple(hard_negative or ()), "negatives": tuple(negative or ())}
    with naming_options(SYNTH_OPTIONS):
        faults: list[Fault] = []
        with gathering(faults):
            request = SynthesisRequest.model_validate({"phrase": phrase, "out": out, "seed": seed, **asked})
        if faults:
            with gathering(faults):
                try_new_folder("--out", out)
        refuse(faults)
        with shown_steps("synthesising") as progress:
            summary = synthesise(request, progress)
    for split, counts in summary.clips.items():
        told = ", ".join(f"{n} {label.replace('_', ' ')}" for label, n in counts.items())
        print(f"{split}: {told}; {summary.speakers[split]} voices")
    print(f"{summary.hours:.2f} hours in {summary.out}")
