"""A report as a page of HTML and as Markdown; whatever a record holds is text in both, never markup."""

import re
from functools import cache
from importlib import metadata, resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from search.plots.page import embedded, scripts
from search.report.content import Report

CODE = re.compile(r"`([^`]+)`")
SPECIAL = re.compile(r"[\\`*\[\]|#~]|(?<!\w)_|_(?!\w)")


def html(report: Report) -> str:
    """The whole page."""
    template = _environment(is_html=True).get_template("page.html.jinja")
    return template.render(
        report=report,
        version=metadata.version("distune"),
        style=Markup(_part("page.css")),
        copying=Markup(_part("page.js")),
        embedded=embedded,
        scripts=scripts(),
    )


def markdown(report: Report) -> str:
    """The page's twin: the same words and numbers, without the drawings."""
    text = _environment(is_html=False).get_template("twin.md.jinja").render(report=report)
    return re.sub(r"\n{3,}", "\n\n", text).rstrip("\n") + "\n"


@cache
def _environment(is_html: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("search.report", "."),
        autoescape=True,  # to Markdown, what is marked as Markup is Markdown already
        undefined=StrictUndefined,
        finalize=None if is_html else _as_text,
        keep_trailing_newline=True,
    )
    coded = _coded_html if is_html else _coded_text
    environment.filters |= {"sentence": _sentence, "row": _row, "fenced": _fenced, "coded": coded}
    return environment


def _part(name: str) -> str:
    return resources.files("search.report").joinpath(name).read_text(encoding="utf-8")


def _sentence(words: str) -> str:
    """With a capital, but for what names a trial or a metric, and a full stop."""
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")


def _coded_html(words: str) -> Markup:
    """Text with commands set as code where backticks enclose them."""
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(words))))


def _coded_text(words: str) -> Markup:
    """The same as Markdown: what backticks enclose stays as it is."""
    parts = CODE.split(" ".join(words.split()))
    return Markup("".join(f"`{part}`" if at % 2 else _escaped(part) for at, part in enumerate(parts)))


def _as_text(value: Any) -> Markup:
    """What a record holds, on one line and with nothing in it that Markdown, or HTML within it, would act on."""
    return value if isinstance(value, Markup) else Markup(_escaped(" ".join(str(value).split())))


def _escaped(line: str) -> str:
    return SPECIAL.sub(r"\\\g<0>", line).replace("&", "&amp;").replace("<", "&lt;")


def _row(cells: tuple[str, ...]) -> Markup:
    return Markup(" | ".join(map(_as_text, cells)))


def _fenced(text: str, language: str) -> Markup:
    """A block of code, its fence longer than any within it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup(f"{fence}{language}\n{text.rstrip()}\n{fence}")
