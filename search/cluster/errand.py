"""Short commands: run on the head as a job, while what it prints and writes comes out here."""

import base64
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from search.cluster.frames import KIND, Frame
from search.cluster.head import Head, HeadError
from search.cluster.order import GIVEN, RETURNED, Order
from search.cluster.pack import packed
from search.home import NOT_RECORDED

FAILED, INTERRUPTED = 1, 130
RAW_LINES = 10  # of what others wrote, shown where a command died


def run_errand(head: Head, order: Order, given: Sequence[Path] = (), outputs: Sequence[Path] = ()) -> int:
    """Run a command on the head; Ctrl-C ends it there too.

    Args:
        given: what the order calls ``given/NUMBER.yaml``, by its name here.
        outputs: what it calls ``returned/NUMBER/...``, likewise.

    Returns:
        Its exit status.

    Raises:
        HeadError: the head no longer answers, or sends what nobody asked for.
    """
    with packed(order) as environment:
        job = head.run(environment, {"distune": " ".join(order.words[:2])})
    names = {f"{GIVEN}/{number}.yaml": str(path) for number, path in enumerate(given)}
    names |= {NOT_RECORDED: "is not recorded on the head"}
    names |= {f"{RETURNED}/{number}/": f"{path.parent}/".removeprefix("./") for number, path in enumerate(outputs)}
    try:
        status = _heard(head.frames(job), names, outputs)
    except KeyboardInterrupt:
        head.end(job)
        return INTERRUPTED
    head.forget(job)
    return status


def _heard(frames: Iterator[Frame], names: dict[str, str], outputs: Sequence[Path]) -> int:
    """Say and write what a command does."""
    strays: list[str] = []
    with _receiving(outputs) as received:
        for frame in frames:
            if frame[KIND] == "raw":
                strays.append(frame["text"])
            elif frame[KIND] == "file":
                received.take(frame)
            elif frame[KIND] == "exit":
                received.keep()
                return int(frame["status"])
            else:
                _say(frame, names)
    told = strays[-RAW_LINES:]
    print("failed: the command did not come to its end on the head", *told, sep="\n  ", file=sys.stderr)
    return FAILED


def _say(frame: Frame, names: dict[str, str]) -> None:
    """Print what the command does, with files and places called as they are seen from here."""
    text = frame["text"]
    for theirs, ours in names.items():
        text = text.replace(theirs, ours)
    stream = sys.stdout if frame[KIND] == "out" else sys.stderr
    stream.write(text)
    stream.flush()


class Received:
    """Files that come in parts, to be put in place when all are whole."""

    def __init__(self, outputs: Sequence[Path]) -> None:
        self._outputs = outputs
        self._parts: dict[Path, Path] = {}

    def take(self, frame: Frame) -> None:
        """Add a part of a file.

        Raises:
            HeadError: it is none that was asked for.
        """
        path = self._path(frame["name"])
        if path not in self._parts:
            path.parent.mkdir(exist_ok=True)
            self._parts[path] = path.with_name(f".{path.name}.part")
            self._parts[path].unlink(missing_ok=True)
        with self._parts[path].open("ab") as file:
            file.write(base64.b64decode(frame["data"]))

    def keep(self) -> None:
        for path, part in self._parts.items():
            part.replace(path)

    def drop(self) -> None:
        for part in self._parts.values():
            part.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        """Beside an output with its stem, or within it where that is a folder; nowhere else on this machine."""
        number, *parts = name.split("/")
        if number.isdecimal() and int(number) < len(self._outputs) and not {"", ".", ".."} & set(parts):
            output = self._outputs[int(number)]
            if len(parts) == 1 and Path(parts[0]).stem == output.stem:
                return output.with_name(parts[0])
            if len(parts) == 2 and parts[0] == output.name:
                return output / parts[1]
        raise HeadError(f"the head sends {name!r}, which was not asked for")


@contextmanager
def _receiving(outputs: Sequence[Path]) -> Iterator[Received]:
    received = Received(outputs)
    try:
        yield received
    finally:
        received.drop()
