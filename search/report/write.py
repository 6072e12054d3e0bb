"""Writing a sweep's report where it is asked for: the page, and its Markdown twin beside it."""

from pathlib import Path

from search.cli.options import try_file, write_whole
from search.home import SweepFolder
from search.report.content import report_of
from search.report.render import html, markdown
from spaces.errors import COMMAND_LINE, Fault, InputError, gathering, refuse

OPTION = "--output"
"""Of the command; the file is named by it where it cannot be written."""


def twin_of(page: Path) -> Path:
    """Where the Markdown twin of a page lies: beside it, by its name.

    Raises:
        InputError: the page is named as its twin would be.
    """
    if page.suffix.lower() in (".md", ".markdown"):
        remedy = "names the page, which is HTML; name it .html, and its Markdown twin lies beside it"
        raise InputError(Fault(COMMAND_LINE, OPTION, str(page), remedy))
    return page.with_suffix(".md") if page.suffix.lower() in (".html", ".htm") else page.with_name(f"{page.name}.md")


def write_report(folder: SweepFolder, page: Path) -> tuple[Path, Path]:
    """Write both; each is whole at any time.

    Returns:
        The page and its twin.

    Raises:
        InputError: there is no such sweep, or a file cannot be written, every fault at once.
    """
    faults: list[Fault] = []
    twin = page
    with gathering(faults):
        twin = twin_of(page)
    for file in dict.fromkeys((page, twin)):
        with gathering(faults):
            try_file(OPTION, file)
    report = None
    with gathering(faults):
        report = report_of(folder)
    refuse(faults)
    assert report is not None  # refused above
    write_whole(OPTION, page, html(report))
    write_whole(OPTION, twin, markdown(report))
    return page, twin
