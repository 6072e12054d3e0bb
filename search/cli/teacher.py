"""``distune teacher``: fitting one, and measuring how good it is."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from search.cli.options import OutsideOption, naming_options, try_new_folder
from search.home import Home, open_home
from search.screen.steps import shown_steps, silent_steps
from spaces.errors import COMMAND_LINE, Fault, gathering, refuse
from spaces.sections import Data, Teacher

if TYPE_CHECKING:
    from trainables.teachers.probe import TeacherReport

app = typer.Typer(no_args_is_help=True, help="Fit a teacher, or see how good it is.")

OPTIONS = {"data.path": "--data", "data.keyword": "--keyword", "data.max_unreadable": "--max-unreadable",
           "max_unreadable": "--max-unreadable", "views.count": "--views", "data.views.noise": "--noise",
           "data.views.rir": "--rir", "teacher.model": "--model",
           "teacher.secondary_model": "--secondary-model"}  # fmt: skip
GATE: float = Teacher.model_fields["minimum_f1"].default


class Architecture(StrEnum):
    WAV2VEC2 = "wav2vec2"
    CONFORMER = "conformer"
    DUAL = "dual"


DataOption = Annotated[Path, typer.Option("--data", metavar="PATH", help="a folder of clips, or a manifest")]
KeywordOption = Annotated[str | None, typer.Option(metavar="WORD", help="the wake word, in a Speech Commands folder")]
UnreadableOption = Annotated[
    float, typer.Option(metavar="SHARE", help="share of unreadable files that is tolerated, 0 to 1")
]
ModelOption = Annotated[
    str | None, typer.Option(metavar="MODEL", help="hub id, folder or platform .pt; by default the shipped teacher")
]
SecondaryOption = Annotated[str | None, typer.Option(metavar="FOLDER", help="the conformer's folder, for dual")]
ArchitectureOption = Annotated[
    Architecture, typer.Option(metavar="NAME", help="wav2vec2 (HuBERT and WavLM too), conformer or dual")
]
ViewsOption = Annotated[int, typer.Option(metavar="N", help="views a training clip, the clean one included")]
NoiseOption = Annotated[
    list[Path] | None,
    typer.Option(metavar="FOLDER", help="folder of noise; may be repeated; by default generated"),
]
RirOption = Annotated[
    list[Path] | None,
    typer.Option(metavar="FOLDER", help="folder of room responses; may be repeated; by default generated"),
]
UnfreezeOption = Annotated[int, typer.Option(metavar="N", min=0, help="train this many of the last blocks too")]
EpochsOption = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="with --unfreeze, or for a conformer from scratch")
]


@app.command(epilog="Example: distune teacher fit --data data/ --out teacher/")
def fit(
    data: DataOption,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="folder of the checkpoint, to make")],
    architecture: ArchitectureOption = Architecture.WAV2VEC2,
    model: ModelOption = None,
    secondary_model: SecondaryOption = None,
    keyword: KeywordOption = None,
    max_unreadable: UnreadableOption = 0.01,
    allow_outside: OutsideOption = False,
    views: ViewsOption = 4,
    noise: NoiseOption = None,
    rir: RirOption = None,
    unfreeze: UnfreezeOption = 0,
    epochs: EpochsOption = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="of the training")] = 0,
) -> None:
    """Fit a teacher's head on clips (seconds), train its last blocks, or train a conformer from scratch."""
    from_scratch = architecture is Architecture.CONFORMER and model is None
    faults = _training_faults(from_scratch, unfreeze, epochs)
    with gathering(faults):
        try_new_folder("--out", out)
    named = None if from_scratch else {"model": model, "secondary_model": secondary_model}
    chosen = {"count": views, "noise": tuple(noise or ()), "rir": tuple(rir or ())}
    clips = {"path": data.resolve(), "keyword": keyword, "max_unreadable": max_unreadable, "views": chosen,
             "allow_outside": allow_outside}  # fmt: skip
    with naming_options(OPTIONS):
        home, config, source = _inputs(architecture, named, clips, faults)
        from search.prepare.teaching import fit_teacher, measure, prepare, save_teacher

        loaded, lesson = prepare(config, source, home, shown_steps, with_heads=False, unfreeze=unfreeze)
        teacher = fit_teacher(loaded, lesson, unfreeze=unfreeze, epochs=epochs, seed=seed)
        section = save_teacher(teacher, out)
        report = measure(teacher, lesson, GATE)
    for split, metrics in report.splits.items():
        print(f"{split}: F1 {metrics['f1']:.3f}, pAUC {metrics['pauc']:.3f}, EER {metrics['eer']:.3f}")
    print(report.verdict)
    print(f"saved in {out}; in a sweep file:", "teacher:", sep="\n")
    print("\n".join(f"  {key}: {value}" for key, value in section.items()))


@app.command(epilog="Example: distune teacher check --data data/ --model teacher/")
def check(
    data: DataOption,
    architecture: ArchitectureOption = Architecture.WAV2VEC2,
    model: ModelOption = None,
    secondary_model: SecondaryOption = None,
    keyword: KeywordOption = None,
    max_unreadable: UnreadableOption = 0.01,
    allow_outside: OutsideOption = False,
    views: ViewsOption = 1,
    as_json: Annotated[bool, typer.Option("--json", help="print the report as JSON")] = False,
) -> None:
    """Measure a teacher on clips, whole and layer by layer (a linear probe each), against the gate of F1 0.80."""
    named = {"model": model, "secondary_model": secondary_model}
    clips = {"path": data.resolve(), "keyword": keyword, "max_unreadable": max_unreadable, "views": {"count": views},
             "allow_outside": allow_outside}  # fmt: skip
    with naming_options(OPTIONS):
        home, config, source = _inputs(architecture, named, clips, [])
        from search.prepare.teaching import measure, prepare

        teacher, lesson = prepare(config, source, home, silent_steps if as_json else shown_steps)
        assert teacher is not None  # config names one, or means the shipped one
        report = measure(teacher, lesson, GATE)
    if as_json:
        print(json.dumps(report.model_dump() | {"passed": report.passed, "verdict": report.verdict}, indent=2))
    else:
        _print_report(report)


def _print_report(report: "TeacherReport") -> None:
    console = Console(highlight=False)
    table = Table()
    table.add_column("", no_wrap=True)
    for split in ("val", "test"):
        for name in ("F1", "pAUC", "EER"):
            table.add_column(f"{split}\n{name}", justify="right")
    for row in report.layers:
        table.add_row(f"probe of {row.teacher} layer {row.layer}", *_cells(row.splits))
    if report.fitted:
        table.add_section()
        table.add_row("the teacher itself", *_cells(report.splits))
    console.print(table)
    console.print(report.verdict, soft_wrap=True)


def _cells(splits: dict[str, dict[str, float]]) -> list[str]:
    return [f"{splits[split][name]:.3f}" for split in ("val", "test") for name in ("f1", "pauc", "eer")]


def _inputs(
    architecture: Architecture,
    named: dict[str, str | None] | None,
    clips: dict[str, Any],
    faults: list[Fault],
) -> tuple[Home, Teacher | None, Data]:
    """Home, teacher (none where ``named`` is none) and data as the options ask for them, nothing read yet.

    Raises:
        InputError: ``faults`` and all that are found here.
    """
    config = None
    with gathering(faults):
        home = open_home()
    missing = _naming_faults(architecture, named) if named else []
    faults += missing
    if named and not missing:
        config = Teacher.model_validate({"architecture": architecture.value, **named})
    with gathering(faults):
        data = Data.model_validate(clips)
    refuse(faults)
    return home, config, data


def _naming_faults(architecture: Architecture, named: dict[str, str | None]) -> list[Fault]:
    faults = []
    if architecture is Architecture.CONFORMER and not named["model"]:
        remedy = "is missing; fit one with `distune teacher fit --architecture conformer`"
        faults.append(Fault(COMMAND_LINE, "--model", None, remedy))
    if architecture is Architecture.DUAL and not named["secondary_model"]:
        remedy = "is missing; dual needs the folder of a fitted conformer"
        faults.append(Fault(COMMAND_LINE, "--secondary-model", None, remedy))
    if architecture is not Architecture.DUAL and named["secondary_model"]:
        remedy = "belongs to --architecture dual; leave it out"
        faults.append(Fault(COMMAND_LINE, "--secondary-model", named["secondary_model"], remedy))
    return faults


def _training_faults(from_scratch: bool, unfreeze: int, epochs: int | None) -> list[Fault]:
    faults = []
    if from_scratch and unfreeze:
        remedy = "belongs to a conformer that is fitted already; name one with --model, or leave it out"
        faults.append(Fault(COMMAND_LINE, "--unfreeze", unfreeze, remedy))
    if epochs and not (from_scratch or unfreeze):
        remedy = "has no effect on a head, which is fitted in one step; add --unfreeze, or leave it out"
        faults.append(Fault(COMMAND_LINE, "--epochs", epochs, remedy))
    return faults
