"""What a command on the head writes, as lines of its job's log, and the same taken apart again by whoever asked for it.

A job has one log for standard output and error, and Ray writes into it as well. So each piece is a line of JSON::

    {"distune": "out", "text": "..."}      and "err": what the command printed
    {"distune": "file", "name": "0/best.yaml", "data": "..."}      a part of a file, base64, in order
    {"distune": "exit", "status": 0}      the last one
"""

import base64
import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

KIND = "distune"
PART_BYTES = 32_768

Frame = dict[str, Any]


class FrameWriter:
    """Writes frames to a file descriptor, which is duplicated: others may then divert it. Any thread may write."""

    def __init__(self, descriptor: int) -> None:
        self._file = open(os.dup(descriptor), "w", encoding="utf-8")  # noqa: SIM115
        self._lock = threading.Lock()

    def write(self, kind: str, **facts: Any) -> None:
        # A blank line first: what others write may not end in one.
        with self._lock:
            self._file.write("\n" + json.dumps({KIND: kind, **facts}) + "\n")
            self._file.flush()

    def stream(self, kind: str) -> TextIO:
        """A stream whose text becomes frames, a line or more each."""
        return io.TextIOWrapper(_Raw(self, kind), encoding="utf-8", errors="replace", line_buffering=True)  # type: ignore[type-var]

    def send(self, folder: Path) -> None:
        """All files below ``folder``, by their names in it."""
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = path.relative_to(folder).as_posix()
            with path.open("rb") as file:
                part = file.read(PART_BYTES)
                while True:
                    self.write("file", name=name, data=base64.b64encode(part).decode())
                    if not (part := file.read(PART_BYTES)):
                        break


class _Raw(io.RawIOBase):
    def __init__(self, frames: FrameWriter, kind: str) -> None:
        self._frames, self._kind = frames, kind

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._frames.write(self._kind, text=bytes(data).decode("utf-8", "replace"))
        return len(data)


def frames_of(text: Iterator[str]) -> Iterator[Frame]:
    """The frames in a log that comes in pieces of any length; a line that is none of ours is of the kind ``raw``."""
    rest = ""
    for piece in text:
        *lines, rest = (rest + piece).split("\n")
        yield from map(_frame, filter(None, lines))
    if rest:
        yield _frame(rest)


def _frame(line: str) -> Frame:
    if line.startswith(f'{{"{KIND}": '):
        try:
            return json.loads(line)
        except ValueError:
            pass  # a line that was cut short when its writer was killed
    return {KIND: "raw", "text": line}
