"""``distune data``: checking clips, and synthesising a wake-word set."""

from pathlib import Path
from typing import Annotated, Any

import pydantic
import typer
from rich.console import Console
from rich.table import Table

from search.steps import shown_steps, silent_steps
from spaces.errors import InputError, faults_of
from spaces.sweep import Data

app = typer.Typer(no_args_is_help=True, help="Look at clips, or make some.")


@app.command(epilog="Example: distune data check recordings/ --json")
def check(
    path: Annotated[Path, typer.Argument(help="a folder of clips, or a manifest")],
    keyword: Annotated[str | None, typer.Option(help="the wake word, in a Speech Commands folder")] = None,
    max_unreadable: Annotated[float, typer.Option(help="share of unreadable files that is tolerated")] = 0.01,
    json: Annotated[bool, typer.Option("--json", help="print the report as JSON")] = False,
) -> None:
    """Read every clip and report counts, hours, speakers, and what is wrong."""
    from trainables.audio.check import check_data

    data = Data(path=path.resolve(), keyword=keyword, max_unreadable=max_unreadable)
    with (silent_steps if json else shown_steps)("reading clips") as progress:
        report = check_data(data, progress)
    if json:
        print(report.model_dump_json(indent=2))
    else:
        table = Table("split", title=f"{path} ({report.layout})", title_justify="left")
        for column in ("positive", "negative", "of them hard", "hours", "speakers"):
            table.add_column(column, justify="right")
        for split, positive, negative, hard, hours, speakers in report.table_rows():
            table.add_row(split, str(positive), str(negative), str(hard), f"{hours:.2f}", str(speakers))
        console = Console()
        console.print(table)
        for note in report.notes:
            console.print(f"note: {note}", markup=False, highlight=False)
    if report.faults:
        raise InputError(report.faults)


@app.command(epilog='Example: distune data synth --phrase "hey sirius" --out data/')
def synth(
    phrase: Annotated[str, typer.Option(help="the wake phrase, in English")],
    out: Annotated[Path, typer.Option(help="folder to make")],
    positives: Annotated[int | None, typer.Option(help="clips of the phrase")] = None,
    hard_negatives: Annotated[int | None, typer.Option(help="clips of near misses")] = None,
    negatives: Annotated[int | None, typer.Option(help="clips of other words and sentences")] = None,
    hard_negative: Annotated[
        list[str] | None, typer.Option(help="a near miss; may be repeated; by default phoneme edits of the phrase")
    ] = None,
    negative: Annotated[
        list[str] | None, typer.Option(help="another word or sentence; may be repeated; by default everyday English")
    ] = None,
    seed: Annotated[int, typer.Option(help="the same seed writes the same bytes")] = 0,
) -> None:
    """Synthesise a wake-word set in many voices, with splits that share no voice."""
    from trainables.audio.script import SynthesisRequest
    from trainables.audio.synthesis import synthesise

    given = {"n_positive": positives, "n_hard_negative": hard_negatives, "n_negative": negatives}
    asked: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    asked |= {"hard_negatives": tuple(hard_negative or ()), "negatives": tuple(negative or ())}
    try:
        request = SynthesisRequest.model_validate({"phrase": phrase, "out": out, "seed": seed, **asked})
    except pydantic.ValidationError as error:
        raise InputError(faults_of(error, "command line")) from None
    with shown_steps("synthesising") as progress:
        summary = synthesise(request, progress)
    for split, counts in summary.clips.items():
        told = ", ".join(f"{n} {label.replace('_', ' ')}" for label, n in counts.items())
        print(f"{split}: {told}; {summary.speakers[split]} voices")
    print(f"{summary.hours:.2f} hours in {summary.out}")
