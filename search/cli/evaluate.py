"""``distune evaluate``: does it wake, and only then."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from search.cli.options import OutsideOption, naming_options, try_file, write_whole
from search.screen.steps import shown_steps, silent_steps
from spaces.documents import read_yaml
from spaces.errors import COMMAND_LINE, Fault, InputError, gathering, refuse

if TYPE_CHECKING:
    from search.evaluate.evaluation import Found, Request
    from search.evaluate.model import Model
    from trainables.audio.entries import Split
    from trainables.stream.detector import Streaming

SPLITS = ("train", "val", "test")
OPTIONS = {"data.path": "--data", "data.keyword": "--keyword", "data.split_seed": "--data"}


def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="a packaged folder, an .onnx file, or kept weights")],
    data: Annotated[Path, typer.Option(metavar="DIR", help="clips: a folder, or a manifest")],
    stream: Annotated[Path | None, typer.Option(metavar="FOLDER", help="long recordings, for false accepts")] = None,
    keyword: Annotated[str | None, typer.Option(metavar="WORD", help="the wake word's folder of clips")] = None,
    allow_outside: OutsideOption = False,
    split: Annotated[str, typer.Option(metavar="SPLIT", help="whose clips: train, val or test")] = "test",
    noise: Annotated[list[Path] | None, typer.Option(metavar="PATH", help="recorded noise; else generated")] = None,
    rir: Annotated[list[Path] | None, typer.Option(metavar="PATH", help="recorded rooms; else generated")] = None,
    threshold: Annotated[float | None, typer.Option(metavar="P", help="fires from this probability on")] = None,
    rate: Annotated[float, typer.Option(metavar="N", help="false accepts an hour to find a threshold for")] = 0.5,
    streaming: Annotated[Path | None, typer.Option(metavar="YAML", help="a platform config: its detector")] = None,
    clean: Annotated[bool, typer.Option("--clean", help="as recorded alone: no noise, no rooms")] = False,
    exact: Annotated[bool, typer.Option("--exact", help="share no frames between windows; slower")] = False,
    hard_negatives: Annotated[
        Path | None, typer.Option(metavar="DIR", help="write false accepts to DIR/hard_negative/")
    ] = None,
    det: Annotated[Path | None, typer.Option(metavar="FILE", help="draw the DET curve as HTML")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="write all that was found as JSON")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print it as JSON instead of tables")] = False,
) -> None:
    """Measure a student: clips with intervals; hours of sound through a detector; both in noise and in rooms.

    The detector is the platform's: votes, hysteresis and cooldown over a window every 100 ms. A wake_words.csv among
    the recordings (path, start_seconds, end_seconds) says where the wake word is said; without one, all that fires
    there is a false accept, and misses are counted on the clips.
    """
    from search.evaluate.evaluation import Request, evaluate_model

    faults = _option_faults(split, threshold, rate, stream, {"--hard-negatives": hard_negatives, "--det": det})
    with gathering(faults):
        detector = _detector(streaming)
    with gathering(faults):
        opened = _model(model)
    for option, file in (("--output", output), ("--det", det)):
        with gathering(faults):
            if file:
                try_file(option, file)
    refuse(faults)
    request = Request(
        data=_data(data, keyword, allow_outside), split=cast("Split", split), stream=stream, noise=tuple(noise or ()),
        rir=tuple(rir or ()), streaming=detector, threshold=threshold, per_hour=rate, disturbed=not clean, exact=exact,
    )  # fmt: skip
    shown = silent_steps if as_json else shown_steps
    with shown("evaluating, a condition after the other") as tell, naming_options(OPTIONS):
        found = evaluate_model(opened, request, tell)
    _tell(found, output, as_json)
    if det:
        from search.evaluate.det import det_page

        write_whole("--det", det, det_page(found.evaluation))
    if hard_negatives:
        _write_hard_negatives(hard_negatives, found, request, silent=as_json)


def _tell(found: "Found", output: Path | None, as_json: bool) -> None:
    text = json.dumps(_plain(found.evaluation), indent=2)
    if output:
        write_whole("--output", output, text + "\n")
    if as_json:
        print(text)
    else:
        from search.evaluate.tables import print_evaluation

        print_evaluation(found.evaluation)


def _write_hard_negatives(folder: Path, found: "Found", request: "Request", *, silent: bool) -> None:
    from search.evaluate.hard_negatives import write_hard_negatives
    from trainables.audio.manifests import manifest_in

    written = write_hard_negatives(folder, found.false_accepts, found.recordings, request.streaming)
    if silent:
        return
    if not written:
        print("no false accepts, so no hard negatives")
        return
    print(f"{len(written)} false accepts written to {folder}/hard_negative; listen to them before you train on them")
    # Of a data set's split, the manifest lies above it.
    if manifest := manifest_in(folder.absolute()) or manifest_in(folder.absolute().parent):
        print(f"a sweep reads what {manifest} names: add them to it, or remove it to have folders read")
    print("What a student learnt from says nothing of it any more: evaluate the next one on other recordings.")


def _detector(file: Path | None) -> "Streaming":
    """The detector of a platform config's ``streaming`` section; without a file, the platform's default."""
    from pydantic import ValidationError

    from spaces.errors import faults_of
    from trainables.stream.detector import Streaming

    if file is None:
        return Streaming()
    section = read_yaml(file).get("streaming", {})
    if not isinstance(section, dict):
        raise InputError(Fault(str(file), "streaming", section, "must be a section with keys below it"))
    # How much sound a window holds, which is the front-end's 1.5 s here.
    buffer_ms = section.get("buffer_length_ms", 1500)
    if buffer_ms != 1500:
        raise InputError(Fault(str(file), "streaming.buffer_length_ms", buffer_ms, "students hear 1500 ms; set it so"))
    try:
        return Streaming.model_validate({key: value for key, value in section.items() if key != "buffer_length_ms"})
    except ValidationError as error:
        raise InputError(faults_of(error, file, "streaming")) from error


def _model(path: Path) -> "Model":
    from search.evaluate.model import load_model

    return load_model(path)


def _data(path: Path, keyword: str | None, allow_outside: bool) -> Any:
    from spaces.sections import Data

    return Data(path=path.resolve(), keyword=keyword, allow_outside=allow_outside)


def _option_faults(
    split: str, threshold: float | None, rate: float, stream: Path | None, of_stream: dict[str, Path | None]
) -> list[Fault]:
    """Args: of_stream: what needs long recordings, by option."""
    faults: list[Fault] = []
    if split not in SPLITS:
        faults.append(Fault(COMMAND_LINE, "--split", split, "is no split; choose train, val or test"))
    if threshold is not None and not 0 < threshold <= 1:
        faults.append(Fault(COMMAND_LINE, "--threshold", threshold, "is a probability; choose above 0, up to 1"))
    if not 0 < rate < float("inf"):
        faults.append(Fault(COMMAND_LINE, "--rate", rate, "must be above 0; the field's bar is 0.5"))
    for option, path in of_stream.items():
        if path and stream is None:
            remedy = "needs long recordings to find false accepts in; give --stream FOLDER"
            faults.append(Fault(COMMAND_LINE, option, str(path), remedy))
    hard_negatives = of_stream["--hard-negatives"]
    if hard_negatives and hard_negatives.exists() and not hard_negatives.is_dir():
        faults.append(Fault(COMMAND_LINE, "--hard-negatives", str(hard_negatives), "is a file; name a folder"))
    return faults


def _plain(evaluation: Any) -> dict[str, Any]:
    """As JSON has it."""
    tree = dataclasses.asdict(evaluation)
    tree["streaming"] = evaluation.streaming.model_dump()
    for outcome, own in zip(tree["outcomes"], evaluation.outcomes, strict=True):
        outcome["det"] = [point._asdict() for point in own.det]
    return tree
