"""The ``distune`` command: all its commands, and what becomes of errors and of libraries' messages."""

import logging
import os
import shutil
import sys
import textwrap
import warnings

import typer

from search.cli import best, data, doctor, evaluate, importing, package, report, steer, submit, sweeps, teacher, ui
from search.cli.elsewhere import by_name
from search.cli.options import REFUSED, disk_fault
from search.log import PACKAGES, from_distune
from search.tracking.settings import PASSWORD, USER, settle_mlflow
from spaces.errors import COMMAND_LINE, Fault, InputError, refuse
from spaces.secrets import has_password

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False,
                  help="Search for the best way to distil a large speech model into a wake-word student.")  # fmt: skip
# In the order of `distune --help`, each with its example.
for name, command, example in (
    ("sweep", sweeps.sweep, "sweep.yaml --set budget.trials=40"),
    ("submit", submit.submit, "sweep.yaml --address http://127.0.0.1:8265"),
    ("resume", by_name(sweeps.resume, trains=True), "hey-sirius"),
    ("confirm", by_name(sweeps.confirm, trains=True), "hey-sirius --seeds 5"),
    ("status", by_name(steer.status), "hey-sirius"),
    ("list", by_name(steer.list_sweeps), ""),
    ("logs", by_name(steer.logs), "hey-sirius --follow"),
    ("stop", by_name(steer.stop), "hey-sirius"),
    ("ui", ui.ui, "hey-sirius"),
    ("report", by_name(report.report, page=".html"), "hey-sirius -o hey-sirius.html"),
    ("export", by_name(best.export), "hey-sirius --student tiny_conv -o best.yaml"),
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
        _refuse_passwords(sys.argv[1:])
        app()
    except InputError as error:
        _refuse(*error.faults)
    except OSError as error:
        if (fault := disk_fault(error)) is None:
            raise
        _refuse(fault)


def _refuse_passwords(arguments: list[str]) -> None:
    """A command line can be read by every user of the machine, for as long as the command runs."""
    remedy = "has a password, which every user of this machine could read; put it in the sweep file (mode 600), or " \
             f"set {USER} and {PASSWORD}"  # fmt: skip
    refuse([Fault(COMMAND_LINE, "", argument, remedy) for argument in arguments if has_password(argument)])


def _refuse(*faults: Fault) -> None:
    for fault in faults:
        print(f"refused: {fault}", file=sys.stderr)
    sys.exit(REFUSED)


if __name__ == "__main__":
    main()
