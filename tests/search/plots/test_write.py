"""Plots as files: pages that a browser draws, pictures, and what happens where no browser is."""

import logging

import pytest

from search.plots.page import as_script
from search.plots.write import write
from tests.search.browser import chromium, new_page

PNG = b"\x89PNG\r\n\x1a\n"
NAMES = {"gain", "history", "size", "roc", "det", "importance", "learning-curves", "parallel-coordinates",
         "alpha-temperature"}  # fmt: skip


@pytest.mark.slow
def test_every_plot_is_written_as_a_page_and_a_picture_and_the_page_draws_itself(results, folder, tmp_path):
    with chromium() as browser:
        files = write(results, folder, "tiny_conv", tmp_path)
        assert {path for path in files if path.endswith(".html")} >= {f"plots/{name}.html" for name in NAMES}
        assert {path.removesuffix(".png") for path in files} - {path for path in files if path.endswith(".html")} == {
            path.removesuffix(".html") for path in files if path.endswith(".html")
        }
        assert all(file.read_bytes().startswith(PNG) for path, file in files.items() if path.endswith(".png"))
        page, said = new_page(browser, color_scheme="dark"), []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(files["plots/history.html"].as_uri())
        page.wait_for_selector("html[data-drawn=yes]")
        assert page.evaluate("document.querySelector('.plot').data.length") == 3 and said == []


def test_without_a_browser_there_are_pages_alone_and_a_sentence_says_so(results, folder, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "no-such-browser"))
    with caplog.at_level(logging.INFO, logger="search"):
        files = write(results, folder, "tiny_conv", tmp_path)
    assert files and all(path.endswith(".html") for path in files)
    told = [record.getMessage() for record in caplog.records if record.name.startswith("search.")]
    assert told == ["plots are written as HTML alone: pictures of them need Chrome or Chromium, and none is installed"]


def test_no_name_ends_the_script_that_holds_it():
    assert "</script>" not in as_script({"name": "</script><script>alert(1)</script>"})
