"""Commands by a sweep's name, also where the sweep is on a cluster: then the same command runs on the head."""

import functools
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.options import FAILED, try_file, try_new_folder
from spaces.errors import COMMAND_LINE, Fault, InputError, gathering, refuse

if TYPE_CHECKING:
    from search.cluster.notes import Submission

OUTPUT = "output"  # the option of a file or folder that a command writes
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="URL",
        help="a cluster's dashboard, http://HEAD:8265; by default the one that the sweep was submitted to from here",
    ),
]


def by_name(command: Callable[..., None], trains: bool = False, page: str = "") -> Callable[..., None]:
    """A command that runs here for a sweep that is recorded here, and on the head for one that was submitted.

    Args:
        trains: it is long: on a cluster it goes on when nobody looks any more.
        page: the suffix of a file that it writes here, named after the sweep, where no other is named.
    """

    @functools.wraps(command)
    def run(context: typer.Context, address: str | None = None, **given: Any) -> None:
        submission = None if _on_head() else _submission(given.get("name"), address)
        if submission is None:
            command(**given)
            return
        if page and given[OUTPUT] is None:
            given = {**given, OUTPUT: Path(f"{given['name']}{page}")}
        asked = _asked(context, given)
        from search.cluster.head import HeadError

        try:
            status = (_train if trains else _run)(asked, submission, given)
        except HeadError as error:
            print(f"failed: {error}", file=sys.stderr)
            status = FAILED
        if status:
            raise typer.Exit(status)

    keyword = inspect.Parameter.KEYWORD_ONLY
    ours = [
        inspect.Parameter("context", keyword, annotation=typer.Context),
        inspect.Parameter("address", keyword, default=None, annotation=AddressOption),
    ]
    own = inspect.signature(command).parameters.values()
    parameters = [*(each.replace(kind=keyword) for each in own), *ours]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


@dataclass(frozen=True)
class _Asked:
    """A command line for the head, and which files of it are here."""

    words: list[str]
    given: list[Path] = field(default_factory=list)
    outputs: list[Path] = field(default_factory=list)

    @property
    def files(self) -> dict[str, str]:
        """Content of what is given.

        Raises:
            InputError: it cannot be read.
        """
        try:
            return {f"{number}.yaml": path.read_text(encoding="utf-8") for number, path in enumerate(self.given)}
        except (OSError, UnicodeDecodeError) as error:
            remedy = f"cannot be read ({error}); give a file that export wrote"
            raise InputError(Fault(COMMAND_LINE, "file", str(error.filename or ""), remedy)) from None  # type: ignore[union-attr]


def _on_head() -> bool:
    from search.cluster.order import ON_HEAD

    return ON_HEAD in os.environ


def _submission(name: str | None, address: str | None) -> "Submission | None":
    """Where to ask: at ``address``, else where the sweep was submitted to and not here, else nowhere."""
    from search.cluster.notes import Submission, submission_of
    from search.home import open_home

    if name is None:
        return Submission("", address, "", 0.0) if address else None
    home = open_home()
    noted, folder = submission_of(home, name), home.sweep(name)
    if address:
        known = noted is not None and noted.address == address.rstrip("/")
        return noted if known else Submission(name, address, "", 0.0)
    return None if folder.exists or folder.driver else noted


def _asked(context: typer.Context, given: dict[str, Any]) -> _Asked:
    """The command as it was given here, with files called as they are on the head.

    Raises:
        InputError: it would write where nothing can be written; all faults at once.
    """
    from search.cluster.order import GIVEN, RETURNED

    asked = _Asked([str(context.info_name)])
    faults: list[Fault] = []
    for parameter in context.command.params:
        value, option = given.get(str(parameter.name)), _long(parameter.opts)
        if value is None or value == parameter.default:
            continue
        if parameter.name == OUTPUT:
            with gathering(faults):
                (try_new_folder if given.get("pareto") else try_file)(option, value)
            asked.outputs.append(value)
            value = f"{RETURNED}/{len(asked.outputs) - 1}/{value.name}"
        elif isinstance(value, Path):
            asked.given.append(value)
            value = f"{GIVEN}/{len(asked.given) - 1}.yaml"
        asked.words.extend(_words(parameter, value))
    refuse(faults)
    return asked


def _words(parameter: Any, value: Any) -> list[str]:
    if parameter.param_type_name == "argument":
        return [str(value)]
    if isinstance(value, bool):
        return [_long(parameter.opts if value else parameter.secondary_opts)]
    values = value if isinstance(value, list | tuple) else [value]
    return [f"{_long(parameter.opts)}={each}" for each in values]


def _long(options: list[str]) -> str:
    """An option as it is written with ``=``; an argument's name."""
    return max(options, key=len)


def _run(asked: _Asked, submission: "Submission", given: dict[str, Any]) -> int:
    from search.cluster.errand import run_errand
    from search.cluster.head import Head
    from search.cluster.launch import tell_end
    from search.cluster.order import Order

    files = asked.files
    head = Head.connect(submission.address)
    order = Order(asked.words, head.ray_version, returned=len(asked.outputs), files=files)
    status = run_errand(head, order, asked.given, asked.outputs)
    if submission.job:
        tell_end(head, submission, began=bool(status))
    return status


def _train(asked: _Asked, submission: "Submission", given: dict[str, Any]) -> int:
    from search.cluster.head import Head
    from search.cluster.launch import follow, launch
    from search.cluster.order import Order
    from search.home import open_home

    head, as_json = Head.connect(submission.address), bool(given.get("as_json"))
    words = asked.words if as_json else [*asked.words, "--json"]
    launched = launch(head, open_home(), submission.name, Order(words, head.ray_version))
    return follow(head, launched, as_json)
