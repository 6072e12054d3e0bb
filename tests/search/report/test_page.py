"""The page in a real browser: on a phone and on a screen, in the light and the dark, by keyboard."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from search.plots.style import BLUE, DARK
from search.report.render import html
from tests.search.browser import chromium, new_page

pytestmark = pytest.mark.slow
WIDE = (
    "() => [...document.querySelectorAll('main *, header *')].filter(e => !e.closest('.scroll, pre, svg, .skip') &&"
    " e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 200))"
)


@pytest.fixture(scope="module")
def page_file(report, tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(html(report), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def opened(browser, page_file):
    """Open the page; at the end it has said nothing and fetched nothing but itself."""
    said: list[str] = []
    fetched: list[str] = []
    pages: list[Page] = []

    def opened(width: int, scheme: str = "light") -> Page:
        page = new_page(browser, viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: fetched.append(request.url))
        page.goto(page_file.as_uri())
        page.wait_for_selector("html[data-drawn=yes]")
        pages.append(page)
        return page

    yield opened
    assert said == [] and set(fetched) == {page_file.as_uri()}
    for page in pages:
        page.close()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_screen_whichever_it_is(opened, width, scheme):
    page = opened(width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(WIDE) == []
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") == width and page.evaluate(WIDE) == []
    n_plots = page.locator(".plot").count()
    assert n_plots > 10 and page.locator(".plot .main-svg").count() >= n_plots


def test_what_is_drawn_is_what_the_record_says(opened, results):
    page = opened(1280)
    found = results.confirmed["tiny_conv"]
    one = found.gain(found.winner, found.baseline("no_distillation"), "test_pauc")
    assert page.evaluate("document.getElementById('compared-gain').data[0].x[0]") == one.mean
    drawn = "document.getElementById('student-1-learning-curves').data.find(t => t.name === 'the best').y"
    best = results.best("tiny_conv")
    trial = next(trial for trial in results.trials["tiny_conv"] if trial.number == best.number)
    assert [y for y in page.evaluate(drawn) if y is not None] == list(trial.intermediate_values.values())
    score = page.locator(".card").first.locator(".score strong").inner_text()
    assert score == f"{found.spread(found.winner, 'test_pauc').mean:.3f}"
    shown = page.locator("#compared > .scroll tbody tr").first.locator("th, td").all_inner_texts()
    assert shown[4] == f"{best.objective:.3f}"


def test_the_first_screen_says_what_won_by_how_much_and_whether_to_believe_it(opened):
    page = opened(1280)
    first = page.evaluate(
        "() => [...document.querySelectorAll('h1, .answer, .badge, .score')].map(e => e.getBoundingClientRect().bottom)"
    )
    assert len(first) == 2 + 2 * 2 and max(first) < 800


def test_plots_turn_dark_with_the_page(opened, wait_for):
    page = opened(1280)
    colour = "document.getElementById('compared-gain').data[0].marker.color"
    assert page.evaluate(colour) == BLUE
    page.emulate_media(color_scheme="dark")
    wait_for(lambda: page.evaluate(colour) == DARK[BLUE])


def test_the_keyboard_reaches_the_answers_and_opens_the_tables(opened):
    page = opened(390)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.wait_for_url("**#answers")  # the browser tells of it after the key
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details").first.get_attribute("open") is not None
    reached = page.evaluate(
        "() => [...document.querySelectorAll('.scroll, pre')].every(e => e.tabIndex === 0 && e.ariaLabel)"
    )
    assert reached


def test_the_page_is_named_and_its_parts_are_labelled_for_a_screen_reader(opened):
    page = opened(1280)
    assert page.title() == "hey-sirius: distune report"
    assert page.evaluate("document.documentElement.lang") == "en"
    regions = page.get_by_role("region").all()
    assert len(regions) > 5 and all(region.get_attribute("aria-label") or region.get_attribute("aria-labelledby")
                                    for region in regions)  # fmt: skip
    assert page.locator("[role=img][aria-label]").count() == page.locator(".plot").count()
