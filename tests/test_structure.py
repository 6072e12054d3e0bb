"""The project's shape: which way imports run, what importing does, and what no file holds."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("spaces", "trainables", "search")  # each may import those before it
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
RAY = ("search/", "trainables/distill.py")
NOT_OURS = {".git", ".venv", "__pycache__", "build", "dist", "demo"}
# In pieces, so that this file does not hold what it looks for.
MACHINE_PATH = re.compile(r"(?<![\w.~$}])/(?:home|Users|root|work|workspace)" + r"/[\w.-]+")
REGISTRY = re.compile("|".join(["python" + "hosted", r"index-" + r"url", r"pypi" + r"\.org", "arti" + "factory"]))


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.relative_to(ROOT)}:{node.lineno} imports relatively; name the package"
            yield node.module or ""


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def our_files() -> Iterator[tuple[str, str]]:
    """Every text file of the project, with its content."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        left_out = NOT_OURS.intersection(parts) or any(part.endswith(("_cache", ".egg-info")) for part in parts)
        if left_out or not path.is_file():
            continue
        try:
            yield name(path), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # weights and pictures


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_from_search_to_trainables_to_spaces(package):
    later = PACKAGES[PACKAGES.index(package) + 1 :]
    back = [
        f"{name(path)} imports {module}"
        for path in MODULES
        if name(path).startswith(f"{package}/")
        for module in imported(path)
        if module.split(".")[0] in later
    ]
    assert back == []


def test_ray_is_imported_in_search_and_the_trainable_alone():
    users = {name(path) for path in MODULES if "ray" in {module.split(".")[0] for module in imported(path)}}
    assert {path for path in users if not path.startswith(RAY)} == set()
    assert "trainables/distill.py" in users


def test_no_module_imports_the_tests():
    assert [name(path) for path in MODULES for module in imported(path) if module.split(".")[0] == "tests"] == []


def test_every_module_opens_by_saying_what_it_is_for():
    written = [path for path in MODULES if path.read_text(encoding="utf-8").strip()]
    silent = [name(path) for path in written if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert silent == [] and len(written) > 50


@pytest.mark.slow
def test_importing_every_module_starts_no_thread_and_no_ray_and_prints_nothing():
    dotted = [name(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in MODULES]
    script = (
        "import importlib, threading\n"
        f"for module in {dotted!r}: importlib.import_module(module)\n"
        "import ray\n"
        "assert not ray.is_initialized()\n"
        "assert threading.enumerate() == [threading.main_thread()], threading.enumerate()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_no_file_holds_a_path_of_one_machine_or_the_host_of_a_registry():
    found = [
        f"{file}: {match[0]}"
        for file, text in our_files()
        for pattern in (MACHINE_PATH, REGISTRY)
        for match in pattern.finditer(text)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("see /ho" + "me/ann/clips", True),
        ("'/wor" + "k/main'", True),
        ("~/.distune", False),
        ("https://example.org/work/it", False),
        ("$HOME/work/x", False),
        ("Speech/work/x", False),
    ],
)
def test_a_path_of_one_machine_is_told_from_others(text, path):
    assert bool(MACHINE_PATH.search(text)) == path
