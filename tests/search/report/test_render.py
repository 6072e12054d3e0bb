"""The page and its twin: the same words and numbers, and nothing of a record becomes markup in either."""

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

from markdown_it import MarkdownIt

from search.insight.alarms import Alarm
from search.plots.plot import Data
from search.report.render import html, markdown

NASTY = "</script><img src=x onerror=alert(1)> | `code` *bold* [a](b) & co"


class Outline(HTMLParser):
    """Headings, identifiers and links of a page, in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self.ids += [found["id"]] if "id" in found else []
        self.targets += [found[key] for key in ("href", "src", "aria-labelledby") if key in found]


def test_headings_go_down_one_step_at_a_time_from_one_title(report):
    headings = Outline(html(report)).headings
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))


def test_every_link_leads_into_the_page_itself(report):
    outline = Outline(html(report))
    assert len(set(outline.ids)) == len(outline.ids)
    assert {target.removeprefix("#") for target in outline.targets} - {"data:,"} <= set(outline.ids)


def test_every_plot_has_words_and_a_table_for_those_who_do_not_see_it(report):
    page = html(report)
    n_plots = len(report.plots) + sum(len(part.plots) for part in report.students)
    assert page.count('class="plot"') == page.count('role="img" aria-label="') == n_plots > 10
    assert page.count("<summary>The numbers: ") == n_plots


def test_the_twin_has_the_pages_words_numbers_and_yaml(report):
    text = markdown(report)
    for part in report.students:
        assert f"### {part.student}: {part.verdict.headline}" in text
        assert f"**{part.verdict.score}** {part.verdict.scale}" in text
        assert all(sentence in text for sentence in (*part.verdict.won, *part.verdict.gained))
        assert f"```yaml\n{part.yaml.rstrip()}\n```" in text
    for plot in report.plots:
        assert (
            f"### {plot.title}\n\n{plot.reading}\n\n{plot.told}\n\n| {' | '.join(plot.data.columns)} |\n| ---" in text
        )
    assert report.sweep_file.rstrip() in text


def test_nothing_of_a_record_is_markup_in_the_page(report):
    nasty = replace(
        report, alarms=(Alarm(NASTY, NASTY, NASTY, NASTY),), failures=Data.of(("trials", "reason"), [(NASTY, NASTY)]),
        sweep_file=NASTY,
    )  # fmt: skip
    page = html(nasty)
    assert "<img" not in page and "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;" in page


def test_nothing_of_a_record_is_markup_in_the_twin(report):
    nasty = replace(report, alarms=(), failures=Data.of(("trials", "reason"), [("tiny_conv 3", f"{NASTY}\n# no")]))
    row = next(line for line in markdown(nasty).splitlines() if line.startswith("| tiny_conv 3 |"))
    told = r"\| \`code\` \*bold\* \[a\](b) &amp; co \# no"
    assert row == f"| tiny_conv 3 | &lt;/script>&lt;img src=x onerror=alert(1)> {told} |"


def test_the_twin_is_sound_markdown(report):
    """As CommonMark with tables reads it: every table is one, with all its rows, and nothing is HTML."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown(report))
    kinds = Counter(token.type for token in tokens)
    plots = [*report.plots, *(plot for part in report.students for plot in part.plots)]
    tables = [report.overview, report.failures, *(plot.data for plot in plots)]
    tables += [table for part in report.students for table in (part.arms, part.space)]
    assert kinds["table_open"] == len(tables)
    assert kinds["tr_open"] == sum(len(table.rows) + 1 for table in tables)
    assert kinds["html_block"] == 0 and kinds["fence"] == len(report.students) + 2


def test_a_fence_is_longer_than_any_within_what_it_holds(report):
    text = markdown(replace(report, sweep_file="a: ```` b"))
    assert "`````yaml\na: ```` b\n`````" in text


def test_commands_in_sentences_are_set_as_code(report):
    told = replace(report, alarms=(Alarm(None, "weak", "it is <weak>.", "Fit one with `distune teacher fit`."),))
    assert "It is &lt;weak&gt;. <em>Fit one with <code>distune teacher fit</code>.</em>" in html(told)
    assert "It is &lt;weak>. Fit one with `distune teacher fit`." in markdown(told)
