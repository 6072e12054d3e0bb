"""The ``distune`` command: all its commands, and what becomes of errors and of libraries' messages."""

import logging
import os
import shutil
import sys
import textwrap
import warnings

import typer

from search.cli import best, data, doctor, evaluate, importing, package, report, steer, sweeps, teacher, ui
from search.cli.options import REFUSED, disk_fault
from search.log import PACKAGES, from_distune
from search.tracking.settings import settle_mlflow
from spaces.errors import Fault, InputError

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False,
                  help="Search for the best way to distil a large speech model into a wake-word student.")  # fmt: skip
# In the order of `distune --help`, each with its example.
for name, command, example in (
    ("sweep", sweeps.sweep, "sweep.yaml --set budget.trials=40"),
    ("resume", sweeps.resume, "hey-sirius"),
    ("confirm", sweeps.confirm, "hey-sirius --seeds 5"),
    ("status", steer.status, "hey-sirius"),
    ("list", steer.list_sweeps, ""),
    ("logs", steer.logs, "hey-sirius --follow"),
    ("stop", steer.stop, "hey-sirius"),
    ("ui", ui.ui, "hey-sirius"),
    ("report", report.report, "hey-sirius -o hey-sirius.html"),
    ("export", best.export, "hey-sirius --student tiny_conv -o best.yaml"),
    ("import", importing.import_, "platform.yaml --data clips -o sweep.yaml"),
    ("reproduce", best.reproduce, "best.yaml"),
    ("evaluate", evaluate.evaluate, "package/ --data recordings/ --stream hours/"),
    ("package", package.package, "hey-sirius --student tiny_conv --out shipped/"),
    ("doctor", doctor.doctor, "sweep.yaml"),
):
    app.command(name, epilog=f"Example: distune {name} {example}".rstrip())(command)
app.add_typer(data.app, name="data")
app.add_typer(teacher.app, name="teacher")


class _StandardError(logging.Handler):
    """Messages on the standard error of the moment, which a live table replaces with its own; whole words a line."""

    def emit(self, record: logging.LogRecord) -> None:
        kind = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        text = f"{kind}{self.format(record)}"
        if sys.stderr.isatty():
            width = shutil.get_terminal_size().columns
            lines = (textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False)
                     for line in text.splitlines())  # fmt: skip
            text = "\n".join(line for wrapped in lines for line in wrapped or [""])
        print(text, file=sys.stderr)


def _quieten_libraries() -> None:
    """Leave out what only a library's developers can act on."""
    shown = _StandardError()
    shown.addFilter(from_distune)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[shown])
    for ours in PACKAGES:
        logging.getLogger(ours).setLevel(logging.INFO)
    # It tells every retry of a hub that is out of reach; what comes of them is reported.
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
    if not sys.warnoptions:
        # To the log of the sweep that is at work, if one is.
        warnings.simplefilter("default")
        logging.captureWarnings(True)
        os.environ.setdefault("PYTHONWARNINGS", "ignore")
    settle_mlflow()


def main() -> None:
    """The ``distune`` command: 0 success, 1 the work failed, 2 the input was refused, 130 interrupted."""
    _quieten_libraries()
    try:
        app()
    except InputError as error:
        _refuse(*error.faults)
    except OSError as error:
        if (fault := disk_fault(error)) is None:
            raise
        _refuse(fault)


def _refuse(*faults: Fault) -> None:
    for fault in faults:
        print(f"refused: {fault}", file=sys.stderr)
    sys.exit(REFUSED)


if __name__ == "__main__":
    main()
