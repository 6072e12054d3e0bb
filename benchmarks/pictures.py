"""The pictures of the README, taken of a real small sweep: ``python benchmarks/pictures.py docs/pictures``.

It wants tmux and Chromium. The sweep takes minutes; ``--home FOLDER`` keeps its record, and takes the pictures of what
is recorded there already.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from io import BytesIO, StringIO
from pathlib import Path
from urllib.parse import quote

import yaml
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

from search.home import Home, open_home
from search.pages.mlflow_ui import TRAINING, serve
from search.record.results import SweepResults
from search.tracking.store import open_client
from spaces.errors import InputError

NAME = "hey-sirius"
COLUMNS, LINES = 100, 40
DISTUNE = [sys.executable, "-m", "search.cli.main"]
ROOT = Path(__file__).parents[1]
SWEEP = {
    "name": NAME,
    "data": {"path": "data", "views": {"count": 4}},
    "students": {"tiny_conv": {"trials": 14, "epochs": 15, "grace_epochs": 4}, "mobilenetv3": {"trials": 6}},
    "budget": {"epochs": 6},
    "early_stopping": {"grace_epochs": 2},
    "confirm": {"students": ["tiny_conv"], "top": 2, "learning_rates": 2},
}
SECONDS_AT_MOST = 3600
SETTLING_MS = 5000
WIDE, HIGH = 1280, 800
FAINT = Style(color="grey62")
# As tall as a line of these letters is, or the lines of tables would not meet.
TERMINAL_STYLE = """
body {margin: 0} main {display: inline-block; background: #191919; color: #c5c8c6; padding: 16px 20px}
p, pre {margin: 0; font: 15px/1.164 "DejaVu Sans Mono", monospace} p {color: #8fbc6b; padding-bottom: 8px}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the pictures")
    parser.add_argument("--home", type=Path, help="distune's home of the sweep; by default one that is thrown away")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="distune-pictures-") as thrown_away, chromium() as browser:
        os.environ |= {"DISTUNE_HOME": str(given.home or thrown_away), "RAY_AUTH_MODE": "disabled"}
        home = open_home()
        if not home.sweep(NAME).exists:
            screen = swept(home)
            picture_of_screen(browser, screen, "distune sweep sweep.yaml", given.out / "sweep.png")
        picture_of_command(browser, ["status", NAME], given.out / "status.png")
        pictures_of_mlflow(browser, home, given.out)
        picture_of_report(browser, home, given.out / "report.png")


def swept(home: Home) -> str:
    """Run the sweep in a terminal; what stood there when half of the trials had ended, with its colours."""
    data = home.root / "data"
    phrases = ["--phrase", "hey sirius", "--positives", "400", "--hard-negatives", "80", "--negatives", "400"]
    subprocess.run([*DISTUNE, "data", "synth", *phrases, "--out", str(data)], check=True)
    (home.root / "sweep.yaml").write_text(yaml.safe_dump(SWEEP))
    with terminal([*DISTUNE, "sweep", str(home.root / "sweep.yaml")]) as tmux:
        shown, deadline = "", time.monotonic() + SECONDS_AT_MOST
        while time.monotonic() < deadline and lives(tmux):
            if not shown and half_way(home):
                shown = subprocess.check_output([*tmux, "capture-pane", "-e", "-p"], text=True)
            time.sleep(1)
    return shown


def half_way(home: Home) -> bool:
    try:
        results = SweepResults.read(home.sweep(NAME))
    except (InputError, FileNotFoundError):
        return False
    n_trials = sum(results.sweep.trials_of(student) for student in results.sweep.students)
    return results.n_missing <= n_trials / 2


@contextmanager
def terminal(command: list[str]) -> Iterator[list[str]]:
    """A terminal that runs a command, as the beginning of tmux's commands to it."""
    tmux = ["tmux", "-L", f"distune-pictures-{os.getpid()}"]
    size = ["-x", str(COLUMNS), "-y", str(LINES)]
    line = f"cd {shlex.quote(str(ROOT))} && {shlex.join(command)}"
    subprocess.run([*tmux, "-f", os.devnull, "new-session", "-d", *size, line], check=True)
    try:
        yield tmux
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, stderr=subprocess.DEVNULL)


def lives(tmux: list[str]) -> bool:
    return subprocess.run([*tmux, "list-sessions"], capture_output=True).returncode == 0


def picture_of_command(browser: Browser, arguments: list[str], file: Path) -> None:
    wide = os.environ | {"COLUMNS": str(COLUMNS), "FORCE_COLOR": "1"}
    done = subprocess.run([*DISTUNE, *arguments], env=wide, capture_output=True, text=True, cwd=ROOT, check=True)
    picture_of_screen(browser, done.stdout, shlex.join(["distune", *arguments]), file)


def picture_of_screen(browser: Browser, shown: str, title: str, file: Path) -> None:
    """What a terminal shows, escape sequences and all, as it looks."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), legacy_windows=False)
    text = Text.from_ansi(shown.strip("\n"))
    # Faint letters, which terminals show well enough, come out too dark to read.
    readable = {span: Style.parse(str(span.style)) for span in text.spans}
    text.spans = [span._replace(style=FAINT if style.dim else style) for span, style in readable.items()]
    console.print(text, soft_wrap=True)
    lines = console.export_html(theme=DIMMED_MONOKAI, inline_styles=True, code_format="{code}")
    page = browser.new_page(viewport={"width": WIDE, "height": HIGH})
    page.set_content(f"<style>{TERMINAL_STYLE}</style><main><p>$ {escape(title)}</p><pre>{lines}</pre></main>")
    save(page.locator("main").screenshot(), file)
    page.close()


def pictures_of_mlflow(browser: Browser, home: Home, out: Path) -> None:
    """The runs, a parent run unfolded, and the learning curves of its trials."""
    experiment = open_client(home.tracking_uri).get_experiment_by_name(NAME)
    if experiment is None:
        raise RuntimeError(f"{NAME} is not recorded in {home.tracking_uri}")
    with serve(home.tracking_uri) as (url, _):
        runs = f"{url}/#/experiments/{experiment.experiment_id}/runs?{TRAINING}"
        page = browser.new_page(viewport={"width": WIDE, "height": HIGH})
        # Not those that confirm, which came last and would fill the list.
        searched = 'tags."distune.stage" = "search"'
        page.goto(f"{runs}&searchFilter={quote(searched)}")
        parent = page.get_by_role("link", name="tiny_conv", exact=True)
        parent.wait_for()
        page.get_by_role("row").filter(has=parent).get_by_role("button").first.click()
        settled(page)
        save(page.screenshot(), out / "mlflow.png")
        searched += ' and tags."distune.student" = "tiny_conv"'
        page.goto(f"{runs}&compareRunsMode=CHART&searchFilter={quote(searched)}")
        page.get_by_placeholder("Search metric charts").fill("^val_(pauc|f1)$")
        settled(page)
        save(page.screenshot(), out / "mlflow-charts.png")
        page.close()


def picture_of_report(browser: Browser, home: Home, file: Path) -> None:
    written = home.root / "report.html"
    subprocess.run([*DISTUNE, "report", NAME, "-o", str(written)], cwd=ROOT, check=True)
    page = browser.new_page(viewport={"width": WIDE, "height": HIGH})
    page.goto(written.as_uri())
    settled(page)
    save(page.screenshot(), file)
    page.close()


def settled(page: Page) -> None:
    """Wait until what the page asks for has come and is drawn; MLflow's asks again and again, so by the clock."""
    page.wait_for_timeout(SETTLING_MS)
    close = page.locator('[data-component-id="mlflow.assistant.chat_panel.close"]')
    if close.is_visible():
        close.click()
        page.wait_for_timeout(SETTLING_MS)


def save(drawn: bytes, file: Path) -> None:
    """A small file: 128 colours are enough for a screen."""
    with Image.open(BytesIO(drawn)) as image:
        image.convert("RGB").quantize(128).save(file, optimize=True)
    print(f"{file}: {file.stat().st_size / 1000:.0f} kB")


@contextmanager
def chromium() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None or shutil.which("tmux") is None:
        raise SystemExit("the pictures are taken with tmux and Chromium; install both")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


if __name__ == "__main__":
    main()
