"""What reaches a real terminal, and what does not."""

import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

from search.log import from_distune, logged_to

PROGRAM = """
import logging, os, subprocess, sys
from pathlib import Path
from search.screen.diverted import diverted
logging.getLogger("ray").addHandler(logging.StreamHandler())
with diverted(Path(sys.argv[1])):
    os.write(2, b"raylet: C++ speaks\\n")
    subprocess.run(["sh", "-c", "echo a child speaks"], check=True)
    logging.getLogger("ray").error("Python speaks")
    print("for the user")
    print("an error for the user", file=sys.stderr)
    print(sys.stdout.isatty(), sys.stderr.isatty())
os.write(1, b"afterwards all is as before\\n")
logging.getLogger("ray").error("and logging too")
"""


def read_all(descriptor: int) -> str:
    text = b""
    try:
        while part := os.read(descriptor, 4096):
            text += part
    except OSError:
        pass  # how Linux says that the other side has closed
    return text.decode().replace("\r\n", "\n")


def test_what_ray_and_its_processes_write_goes_to_the_log_and_the_rest_to_the_user(tmp_path: Path) -> None:
    log = tmp_path / "sweep.log"
    ours, theirs = pty.openpty()
    command = subprocess.Popen([sys.executable, "-c", PROGRAM, str(log)], stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = read_all(ours)
    os.close(ours)
    assert command.wait() == 0
    assert shown.splitlines() == [
        "for the user", "an error for the user", "True True", "afterwards all is as before", "and logging too",
    ]  # fmt: skip
    logged = log.read_text()
    assert "raylet: C++ speaks\n" in logged and "a child speaks\n" in logged and "ERROR Python speaks\n" in logged


def test_a_sweeps_log_has_what_libraries_say_once_and_the_user_has_it_not(tmp_path: Path) -> None:
    file = tmp_path / "sweep.log"
    with logged_to(file):
        logging.getLogger("ray").warning("a worker is slow")
        logging.getLogger("some.library").warning("deprecated")
        logging.getLogger("search.any").warning("clips are few")
    logging.getLogger("some.library").warning("after the sweep")
    told = [line.split(" ", 2)[2] for line in file.read_text().splitlines()]
    assert told == ["WARNING a worker is slow", "WARNING deprecated", "WARNING clips are few"]


def test_of_libraries_the_user_is_told_errors_alone() -> None:
    def made(name: str, level: int) -> logging.LogRecord:
        return logging.LogRecord(name, level, "file", 1, "text", None, None)

    assert from_distune(made("search.sweep", logging.INFO)) and from_distune(made("transformers.any", logging.ERROR))
    assert not from_distune(made("transformers.any", logging.WARNING))
    assert not from_distune(made("searching", logging.WARNING))
