"""The command line: what a sweep found, as files, what two of them differ by, and that one trial again."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from search.cli.complete import complete_students
from search.cli.options import FAILED, Name, naming_options, try_file, try_new_folder, write_whole, write_whole_folder
from spaces.errors import COMMAND_LINE, Fault, gathering, refuse

if TYPE_CHECKING:
    from search.record.results import BestTrial, SweepResults

Form = Literal["platform", "trial", "json"]
SUFFIX = {"platform": "yaml", "trial": "yaml", "json": "json"}


def export(
    name: Name,
    student: Annotated[
        str | None,
        typer.Option(
            metavar="STUDENT", help="whose best; by default the best of all students", autocompletion=complete_students
        ),
    ] = None,
    trial: Annotated[int | None, typer.Option(metavar="N", help="one trial by its number, not the best")] = None,
    pareto: Annotated[
        bool, typer.Option("--pareto", help="all trials that are worth their size, each a file in the folder --output")
    ] = False,
    form: Annotated[
        Form,
        typer.Option("--format", help="platform: the YAML that it loads; json: the same; trial: distune's own"),
    ] = "platform",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="file to write, or folder; by default the screen"),
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(metavar="OTHER", help="show what differs from another exported file")
    ] = None,
) -> None:
    """Write a sweep's best configuration as the YAML that the wake-word platform loads."""
    from search.configuration.choose import chosen_trials
    from search.configuration.forms import exported, read_exported
    from search.home import open_home
    from search.record.results import SweepResults

    faults = _contradictions(trial, pareto, output, compare)
    other, chosen, texts = None, [], {}
    if output:
        with gathering(faults):
            (try_new_folder if pareto else try_file)("--output", output)
    if compare:
        with gathering(faults):
            other = read_exported(compare)
    with gathering(faults):
        results = SweepResults.read(open_home().sweep(name))
        chosen = chosen_trials(results, student, trial, pareto)
    if chosen and not faults:
        with gathering(faults):
            texts = {_file_name(best, form): exported(results, best, form) for best in chosen}
    refuse(faults)
    if pareto and output:
        write_whole_folder("--output", output, texts)
        print("\n".join(f"{best.student}, trial {best.number}: {output / _file_name(best, form)}" for best in chosen))
        return
    if output:
        write_whole("--output", output, *texts.values())
        print(f"{chosen[0].student}, trial {chosen[0].number}: {output}")
    elif other is None:
        print(*texts.values(), end="")
    if compare and other is not None:
        _print_differences(results, chosen[0], other, str(compare))


def _contradictions(trial: int | None, pareto: bool, output: Path | None, compare: Path | None) -> list[Fault]:
    if not pareto:
        return []
    faults = []
    if trial is not None:
        faults.append(Fault(COMMAND_LINE, "--trial", trial, "contradicts --pareto, which is several trials; keep one"))
    if compare is not None:
        remedy = "compares one trial, and --pareto is several; choose one with --trial"
        faults.append(Fault(COMMAND_LINE, "--compare", str(compare), remedy))
    if output is None:
        faults.append(Fault(COMMAND_LINE, "--pareto", None, "is several files; name a new folder for them with -o"))
    return faults


def _file_name(best: "BestTrial", form: Form) -> str:
    return f"{best.student}-{best.number:03d}.{SUFFIX[form]}"


def _print_differences(results: "SweepResults", best: "BestTrial", other: dict[str, object], file: str) -> None:
    from search.configuration.compare import differences, print_differences
    from search.export import platform_tree

    print_differences(differences(platform_tree(results, best), other), f"trial {best.number} of {best.student}", file)


def reproduce(
    file: Annotated[Path, typer.Argument(metavar="BEST.yaml", help="a file that export wrote, in any form")],
    data: Annotated[Path | None, typer.Option(metavar="PATH", help="other clips than the sweep's")] = None,
    teacher: Annotated[
        str | None, typer.Option(metavar="MODEL", help="another teacher than the sweep's, of its architecture")
    ] = None,
) -> None:
    """Train the one trial of an exported file again, and say whether it is as good as it was confirmed to be."""
    from search.reproduce import print_comparison, reproduce_trial

    with naming_options({"data.path": "--data", "teacher.model": "--teacher"} if data or teacher else {}):
        reproduction = reproduce_trial(file, data=data, teacher=teacher)
    print_comparison(reproduction)
    if not reproduction.succeeded:
        raise typer.Exit(FAILED)
