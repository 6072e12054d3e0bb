"""``distune teacher``: fitting one, and measuring how good it is."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pydantic
import typer
from rich.console import Console
from rich.table import Table

from search.home import open_home
from search.steps import shown_steps
from spaces.errors import Fault, InputError, faults_of
from spaces.sweep import Data, Teacher, Views

app = typer.Typer(no_args_is_help=True, help="Fit a teacher, or see how good it is.")


class Architecture(StrEnum):
    WAV2VEC2 = "wav2vec2"
    CONFORMER = "conformer"
    DUAL = "dual"


DataOption = Annotated[Path, typer.Option("--data", help="a folder of clips, or a manifest")]
KeywordOption = Annotated[str | None, typer.Option(help="the wake word, in a Speech Commands folder")]
ModelOption = Annotated[str | None, typer.Option(help="hub id, folder or platform .pt; none: the shipped teacher")]
SecondaryOption = Annotated[str | None, typer.Option(help="the conformer's folder, for dual")]
ArchitectureOption = Annotated[Architecture, typer.Option(help="wav2vec2 takes HuBERT and WavLM too")]
ViewsOption = Annotated[int, typer.Option(help="views a training clip, the clean one included")]
NoiseOption = Annotated[list[Path] | None, typer.Option(help="folder of noise; may be repeated; none: generated")]
RirOption = Annotated[list[Path] | None, typer.Option(help="folder of room responses; may be repeated")]


@app.command(epilog="Example: distune teacher fit --data data/ --out teacher/")
def fit(
    data: DataOption,
    out: Annotated[Path, typer.Option(help="folder of the checkpoint")],
    architecture: ArchitectureOption = Architecture.WAV2VEC2,
    model: ModelOption = None,
    secondary_model: SecondaryOption = None,
    keyword: KeywordOption = None,
    views: ViewsOption = 4,
    noise: NoiseOption = None,
    rir: RirOption = None,
    unfreeze: Annotated[int, typer.Option(min=0, help="train this many of the last blocks too")] = 0,
    epochs: Annotated[int | None, typer.Option(min=1, help="with --unfreeze, or for a conformer from scratch")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Fit a teacher's head on clips (seconds), train its last blocks, or train a conformer from scratch."""
    from search.teaching import fit_teacher, measure

    if out.exists() and any(out.iterdir() if out.is_dir() else [out]):
        raise InputError(Fault("command line", "--out", str(out), "exists already; choose a new folder"))
    source = _data(data, keyword, views, noise, rir)
    config = _teacher(architecture, model, secondary_model, from_scratch=architecture is Architecture.CONFORMER)
    teacher = fit_teacher(config, source, open_home(), shown_steps, unfreeze=unfreeze, epochs=epochs, seed=seed)
    teacher.save(out)
    for split, metrics in measure(teacher, source, open_home(), shown_steps).splits.items():
        print(f"{split}: F1 {metrics['f1']:.3f}, pAUC {metrics['pauc']:.3f}, EER {metrics['eer']:.3f}")
    print(f"saved in {out}; use it with teacher.model: {out}")


@app.command(epilog="Example: distune teacher check --data data/ --model teacher/")
def check(
    data: DataOption,
    architecture: ArchitectureOption = Architecture.WAV2VEC2,
    model: ModelOption = None,
    secondary_model: SecondaryOption = None,
    keyword: KeywordOption = None,
    views: ViewsOption = 1,
    json: Annotated[bool, typer.Option("--json", help="print the report as JSON")] = False,
) -> None:
    """Measure a teacher on clips, whole and layer by layer (a linear probe each), against the gate of F1 0.80."""
    from search.teaching import measure
    from trainables.teachers.load import load_teacher

    teacher = load_teacher(_teacher(architecture, model, secondary_model))
    report = measure(teacher, _data(data, keyword, views), open_home(), shown_steps)
    if json:
        print(report.model_dump_json(indent=2))
        return
    console = Console()
    table = Table("", *(f"{split} {name}" for split in ("val", "test") for name in ("F1", "pAUC", "EER")))
    if report.fitted:
        table.add_row("the teacher itself", *_cells(report.splits), end_section=True)
    for row in report.layers:
        table.add_row(f"{row.teacher} layer {row.layer}, probe", *_cells(row.splits))
    console.print(table)
    console.print(report.verdict, highlight=False)


def _cells(splits: dict[str, dict[str, float]]) -> list[str]:
    return [f"{splits[split][name]:.3f}" for split in ("val", "test") for name in ("f1", "pauc", "eer")]


def _data(
    path: Path, keyword: str | None, views: int, noise: list[Path] | None = None, rir: list[Path] | None = None
) -> Data:
    try:
        made = Views(count=views, noise=tuple(noise or ()), rir=tuple(rir or ()))
        return Data(path=path.resolve(), keyword=keyword, views=made)
    except pydantic.ValidationError as error:
        raise InputError(faults_of(error, "command line")) from None


def _teacher(
    architecture: Architecture, model: str | None, secondary_model: str | None, from_scratch: bool = False
) -> Teacher:
    values: dict[str, Any] = {"architecture": architecture.value, "model": model, "secondary_model": secondary_model}
    if from_scratch:
        # Its weights come from the training itself.
        return Teacher.model_construct(**values)
    try:
        return Teacher.model_validate(values)
    except pydantic.ValidationError as error:
        raise InputError(faults_of(error, "command line")) from None
