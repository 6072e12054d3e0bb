"""A command's output as frames in a log that others write into as well, and back."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.cluster.errand import Received
from search.cluster.frames import KIND, FrameWriter, frames_of
from search.cluster.head import HeadError


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "job.log"


@pytest.fixture
def frames(log: Path) -> Iterator[FrameWriter]:
    descriptor = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    yield FrameWriter(descriptor)
    os.close(descriptor)


def heard(log: Path, length: int = 7) -> list[dict]:
    """The frames of the log, which comes in pieces of ``length`` characters."""
    text = log.read_text()
    return list(frames_of(text[start : start + length] for start in range(0, len(text), length)))


def test_what_is_printed_is_told_apart_line_by_line_whatever_pieces_the_log_comes_in(frames, log):
    out, err = frames.stream("out"), frames.stream("err")
    print("σ = 1", file=out)
    print("no", file=err)
    print("not yet ended", end="", file=out)
    out.flush()
    frames.write("exit", status=3)
    for length in (1, 7, 10_000):
        told = heard(log, length)
        assert [(each[KIND], each.get("text")) for each in told] == [
            ("out", "σ = 1\n"), ("err", "no\n"), ("out", "not yet ended"), ("exit", None),
        ]  # fmt: skip
        assert told[-1]["status"] == 3


def test_what_others_write_is_raw_even_without_an_end_of_line(frames, log):
    with log.open("a") as file:
        file.write("Running entrypoint\n[raylet] half a line")
    frames.write("exit", status=0)
    with log.open("a") as file:
        file.write('{"distune": "ex')
    kinds = [(each[KIND], each.get("text")) for each in heard(log)]
    assert kinds == [
        ("raw", "Running entrypoint"), ("raw", "[raylet] half a line"), ("exit", None), ("raw", '{"distune": "ex'),
    ]  # fmt: skip


def test_files_arrive_whole_beside_the_output_that_was_named_or_within_it(frames, log, tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    for name, content in {
        "0/best.html": bytes(range(256)) * 1000, "0/best.md": b"", "1/front/a-1.yaml": b"alpha: 0\n",
    }.items():  # fmt: skip
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).write_bytes(content)
    frames.send(there)
    here.mkdir()
    received = Received([here / "best.html", here / "front"])
    for frame in heard(log, 50_000):
        received.take(frame)
    assert sorted(path.name for path in here.iterdir()) == [".best.html.part", ".best.md.part", "front"]
    received.keep()
    received.drop()
    assert (here / "best.html").read_bytes() == bytes(range(256)) * 1000
    assert (here / "best.md").read_bytes() == b"" and (here / "front" / "a-1.yaml").read_bytes() == b"alpha: 0\n"
    assert len(list(here.rglob("*"))) == 4


@pytest.mark.parametrize(
    "name",
    ["0/other.yaml", "0/../best.yaml", "0/best.yaml/../../x", "1/best.yaml", "best.yaml", "/etc/best.yaml", "0/"],
)
def test_a_file_that_nobody_asked_for_is_not_written(name, tmp_path):
    received = Received([tmp_path / "best.yaml"])
    with pytest.raises(HeadError, match="was not asked for"):
        received.take({KIND: "file", "name": name, "data": ""})
    assert list(tmp_path.iterdir()) == []
