"""The MLflow UI on a real sweep's record, as a user sees it in Chromium."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from playwright.sync_api import Browser, Page, expect

from search.home import open_home
from search.pages.mlflow_ui import TRAINING, serve
from tests.search.browser import PATIENCE_MS, chromium, new_page

pytestmark = [pytest.mark.slow, pytest.mark.long]

NAME = "seen"


@dataclass(frozen=True)
class Seen:
    """A sweep's experiment as MLflow serves it."""

    url: str
    experiment: str
    parent: Run
    children: dict[str, Run]

    def run_page(self, run: Run, tab: str = "") -> str:
        return f"{self.url}/#/experiments/{self.experiment}/runs/{run.info.run_id}{tab}"


@pytest.fixture(scope="module")
def seen(workplace: Path, sweep_file: Callable[..., Path]) -> Iterator[Seen]:
    students = {"tiny_conv": {"trials": 2, "epochs": 2}}
    file = sweep_file(NAME, students=students, early_stopping={"scheduler": "none"})
    command = [sys.executable, "-m", "search.cli.main", "sweep", str(file)]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    uri = open_home().tracking_uri
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(NAME)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    children = {run.info.run_name: run for run in runs if "mlflow.parentRunId" in run.data.tags}
    parent = next(run for run in runs if run.info.run_name == "tiny_conv")
    with serve(uri) as (url, _):
        yield Seen(url, experiment.experiment_id, parent, children)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = new_page(browser, viewport={"width": 1280, "height": 800})
    try:
        yield opened
    finally:
        opened.close()


def shown(locator: Any) -> None:
    expect(locator).to_be_visible(timeout=PATIENCE_MS)


def test_the_link_opens_the_sweep_with_its_parent_run_and_the_trials_below_it(page: Page, seen: Seen):
    page.goto(f"{seen.url}/#/experiments/{seen.experiment}/runs?{TRAINING}")
    shown(page.get_by_text(NAME, exact=True).first)
    parent = page.get_by_role("link", name="tiny_conv", exact=True)
    shown(parent)
    assert seen.children and page.get_by_role("link", name=re.compile(r"tiny_conv-\d+")).count() == 0
    row = page.get_by_role("row").filter(has=parent)
    # The cell of the name stands in the pinned part of the row, before it the button that unfolds it.
    row.get_by_role("button").first.click()
    for name in seen.children:
        shown(page.get_by_role("link", name=name, exact=True))


def test_a_trials_page_shows_its_state_its_parameters_and_its_parent(page: Page, seen: Seen):
    name, run = next(iter(sorted(seen.children.items())))
    page.goto(seen.run_page(run))
    shown(page.get_by_role("heading", name=name))
    shown(page.get_by_text("Finished", exact=True).first)
    shown(page.get_by_role("link", name="tiny_conv", exact=True))
    shown(page.get_by_text("training.learning_rate").first)


def test_a_metric_is_drawn_with_its_epochs(page: Page, seen: Seen):
    _, run = next(iter(sorted(seen.children.items())))
    page.goto(seen.run_page(run, "/model-metrics"))
    page.get_by_placeholder(re.compile("Search metric charts")).fill("^val_pauc$")
    chart = page.locator(".js-plotly-plot").first
    shown(chart)
    drawn = chart.evaluate("chart => chart.data.map(trace => [[...trace.x].map(Number), [...trace.y]])")
    history = MlflowClient(open_home().tracking_uri).get_metric_history(run.info.run_id, "val_pauc")
    assert [point.step for point in history] == [1, 2]
    assert [[point.step for point in history], [pytest.approx(point.value) for point in history]] in drawn


def test_a_plot_of_the_parent_run_is_drawn(page: Page, seen: Seen):
    page.goto(seen.run_page(seen.parent, "/artifacts"))
    page.get_by_text("plots", exact=True).last.click()
    page.get_by_text("history.html").first.click()
    frame = page.frame_locator("iframe")
    shown(frame.locator(".js-plotly-plot .main-svg").first)
    shown(frame.get_by_text(f"{NAME}, tiny_conv").first)
