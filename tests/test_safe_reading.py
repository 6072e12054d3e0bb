"""How the project may read files and start programs: never so that a file, an answer or a name becomes code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("spaces", "trainables", "search", "benchmarks")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
# Each way to run what was only to be read; and where it stands with a reason.
RUNS_WHAT_IT_READS = {
    "pickle.load", "pickle.loads", "pickle.Unpickler", "cloudpickle.load", "cloudpickle.loads", "joblib.load",
    "marshal.load", "marshal.loads", "shelve.open", "pandas.read_pickle", "torch.hub.load", "torch.jit.load",
    "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "yaml.safe_load", "yaml.safe_load_all",
    "eval", "exec", "compile", "__import__", "os.system", "os.popen",
    "tarfile.open", "zipfile.ZipFile", "shutil.unpack_archive",
    "mlflow.pyfunc.load_model", "mlflow.pytorch.load_model",
}  # fmt: skip
ALLOWED = {
    # With a loader that makes plain values alone, within limits.
    ("spaces/documents.py", "yaml.load"),
    # What this very process wrote a moment before, in a folder that is found to be its user's alone.
    ("search/run/failure.py", "cloudpickle.loads"),
}


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file, by the dotted name of what is called, aliases of imports resolved."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {alias.asname or alias.name.split(".")[0]: alias.name if alias.asname else alias.name.split(".")[0]
                      for alias in node.names}  # fmt: skip
        elif isinstance(node, ast.ImportFrom):
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, *rest = ast.unparse(node.func).split(".")
            yield ".".join([known.get(first, first), *rest]).removeprefix("ray."), node


def called(names: set[str]) -> Iterator[tuple[str, str, ast.Call]]:
    for path in SOURCES:
        for name, node in calls(path):
            if name in names:
                yield path.relative_to(ROOT).as_posix(), name, node


def value_of(node: ast.Call, keyword: str) -> str | None:
    return next((ast.unparse(each.value) for each in node.keywords if each.arg == keyword), None)


def test_nothing_is_read_in_a_way_that_could_run_it():
    found = {(file, name) for file, name, _ in called(RUNS_WHAT_IT_READS)}
    assert found <= ALLOWED, "read it as plain values, or say in ALLOWED why it can be trusted"
    assert found >= {entry for entry in ALLOWED if (ROOT / entry[0]).exists()}, "ALLOWED names what is not there"


def test_tensors_are_loaded_as_weights_alone():
    loads = [(file, value_of(node, "weights_only")) for file, _, node in called({"torch.load"})]
    assert len(loads) >= 2 and {allowed for _, allowed in loads} == {"True"}, loads


def test_arrays_are_loaded_without_objects():
    loads = [(file, value_of(node, "allow_pickle")) for file, _, node in called({"numpy.load"})]
    assert len(loads) >= 5 and {allowed for _, allowed in loads} <= {None, "False"}, loads


def test_models_of_the_hub_bring_no_code():
    loads = [
        (path.relative_to(ROOT).as_posix(), value_of(node, "trust_remote_code"))
        for path in SOURCES
        for name, node in calls(path)
        if name.endswith(".from_pretrained")
    ]
    assert len(loads) >= 2 and {trusted for _, trusted in loads} == {"False"}, loads


def test_no_program_is_started_through_a_shell():
    starts = {f"subprocess.{name}" for name in ("run", "Popen", "call", "check_call", "check_output", "getoutput")}
    found = [(file, value_of(node, "shell")) for file, _, node in called(starts)]
    assert len(found) >= 4 and {shell for _, shell in found} <= {None, "False"}, found


def test_every_package_is_pinned_and_every_passed_over_advisory_has_its_reason():
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.!+]+", pin)] == [] and len(pins) > 100
    lines = (ROOT / "docs" / "audit-exceptions.txt").read_text(encoding="utf-8").splitlines()
    # Both ends of what the Makefile's sed takes.
    assert [line for line in lines if not re.fullmatch(r"#.*|[A-Za-z][\w-]+ +# .{20,}", line)] == []


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("import pickle as p; p.loads(x)", "pickle.loads"),
        ("from ray import cloudpickle; cloudpickle.loads(x)", "cloudpickle.loads"),
        ("from yaml import load as read; read(x)", "yaml.load"),
        ("import numpy as np; np.load(x)", "numpy.load"),
        ("import os.path; os.system(x)", "os.system"),
        ("eval(x)", "eval"),
    ],
)
def test_a_call_is_known_by_whatever_name_it_goes(tmp_path, line, name):
    (tmp_path / "m.py").write_text(line)
    assert [found for found, _ in calls(tmp_path / "m.py")] == [name]
