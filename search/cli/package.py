"""The command line's `package`: a confirmed student as files that ship."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.complete import complete_students
from search.cli.options import FAILED, Name, OutsideOption, naming_options, try_new_folder
from spaces.errors import Fault, gathering, refuse

if TYPE_CHECKING:
    from search.package.measured import Measured


def package(
    name: Name,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="folder to make")],
    student: Annotated[
        str | None,
        typer.Option(
            metavar="STUDENT",
            help="whose winner; by default the best of those confirmed",
            autocompletion=complete_students,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="PATH", help="where the sweep's clips are now; by default where they were"),
    ] = None,
    allow_outside: OutsideOption = False,
) -> None:
    """Write a confirmed student as files that ship: weights, ONNX with and without front-end, int8, model card."""
    from search.home import open_home
    from search.package.confirmed import ConfirmedStudent
    from search.package.extra import need_export_extra
    from search.prepare.data import read_clips
    from search.screen.steps import shown_steps

    faults: list[Fault] = []
    with gathering(faults):
        need_export_extra("package")
    with gathering(faults):
        try_new_folder("--out", out)
    home, shipped = open_home(), None
    with gathering(faults):
        shipped = ConfirmedStudent.find(home.sweep(name), student)
    if shipped is not None:
        changed = ({} if data is None else {"path": data}) | ({"allow_outside": True} if allow_outside else {})
        asked = shipped.sweep.data.model_copy(update=changed)
        with gathering(faults), naming_options({"data.path": "--data"}):
            clips = read_clips(asked, home, shown_steps)
    refuse(faults)
    assert shipped is not None  # refused above

    from search.package.parity import ParityError
    from search.package.write import write_package

    try:
        measured = write_package(shipped, clips, out, shown_steps)
    except ParityError as error:
        print(f"failed: {error}; nothing was written", file=sys.stderr)
        raise typer.Exit(FAILED) from None
    _tell(measured)
    print(f"{shipped.best.student}, trial {shipped.best.number}, seed {shipped.seed}: {out}")


def _tell(measured: "Measured") -> None:
    from search.package.memory import BOARDS

    if measured.same_clips is False:
        print("warning: these clips are not those that the sweep was confirmed on", file=sys.stderr)
    print(f"threshold: {measured.threshold:.4f}, with at most {measured.fpr:.1%} of validation's other clips accepted")
    told = ", ".join(f"{name} {figure}" for name, figure in measured.float_.items())
    print(f"test clips, 95 % intervals: {told}")
    parity = measured.parity
    print(f"ONNX beside torch: {parity.log_mel:.1e} from log-mel, {parity.audio:.1e} from audio")
    print(f"int8 beside float: {measured.int8_parity}")
    for file, latency in measured.latency.items():
        factor = (
            f"real-time factor {latency.real_time_factor:.5f}, {latency.streaming_factor:.4f} with a window each 0.1 s"
        )
        print(f"{file}: {latency.median_ms:.2f} ms a clip, {factor}")
    print(f"measured on {measured.machine}")
    size = measured.size
    print(
        f"on a device, as int8: about {size.flash_kb:.1f} kB of flash, {measured.ram_kb:.1f} kB of RAM for activations"
    )
    for board, target in BOARDS.items():
        fits = "fits" if target.holds(size.flash_kb, measured.ram_kb) else "does not fit"
        print(f"{fits} size_targets of {board}: {target.max_flash_kb} kB of flash, {target.max_ram_kb} kB of RAM")
