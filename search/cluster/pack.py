"""What a job takes along: distune's code as it is here, and the files of its command. Never data or results."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from search.cluster.order import SWEEP, Order
from spaces.errors import Fault, gathering, refuse
from spaces.secrets import has_password
from spaces.space import SHIPPED_SPACES, Space
from spaces.sweep import SweepConfig

PACKAGES = ("search", "trainables", "spaces")
# What pyproject.toml installs, so that what was left lying in a checkout stays there.
SUFFIXES = {".py", ".yaml", ".css", ".jinja", ".js", ".txt"}
SHIPPED = "shipped"  # the teacher that comes with distune, whatever its files are called
STOP_SECONDS = 60  # that `ray job stop` leaves a driver to end in, and its trials with it


@contextmanager
def packed(order: Order) -> Iterator[dict[str, Any]]:
    """A job's runtime environment, of folders that are there for the block; Ray uploads what a cluster lacks."""
    with tempfile.TemporaryDirectory(prefix="distune-") as temporary:
        stage = Path(temporary)
        for name in PACKAGES:
            _copy_package(name, stage / name)
        job = stage / "job"
        job.mkdir()
        for name, text in order.as_files().items():
            (job / name).write_text(text, encoding="utf-8")
        yield {
            "py_modules": [str(stage / name) for name in PACKAGES],
            "working_dir": str(job),
            "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS)},
        }


def sweep_files(sweep: SweepConfig, file: Path) -> dict[str, str]:
    """A sweep as files that need nothing else of this machine, spaces of its own among them.

    Args:
        sweep: with paths as ``file`` has them.

    Raises:
        InputError: it names files that only this machine has, or a space that is none; all faults at once.
    """
    faults = list(_of_this_machine(sweep, file))
    tree = sweep.model_dump(mode="json", exclude_unset=True) | {"name": sweep.name}
    tree["resources"] = tree.get("resources", {}) | {"address": "auto"}
    files: dict[str, str] = {}
    for student, settings in sweep.students.items():
        if settings.space is None or settings.space in SHIPPED_SPACES:
            continue
        path = file.parent / Path(settings.space).expanduser()
        with gathering(faults):
            Space.load(path)
            name = f"space-{student}.yaml"
            files[name] = path.read_text(encoding="utf-8")
            tree["students"][student]["space"] = name
    refuse(faults)
    return {**files, SWEEP: yaml.safe_dump(tree, sort_keys=False)}


def _of_this_machine(sweep: SweepConfig, file: Path) -> Iterator[Fault]:
    """What it names that only this machine has, and a secret, which belongs on the head alone."""
    views = sweep.data.views
    paths = [("data.path", sweep.data.path)]
    paths += [(f"data.views.{key}", path) for key in ("noise", "rir") for path in getattr(views, key)]
    remedy = "is a path on this machine, and data is never sent; give the absolute path under which the cluster's " \
             "nodes see it, or a bucket"  # fmt: skip
    for key, path in paths:
        if _is_relative(str(path)):
            yield Fault(str(file), key, str(path), remedy)
    for key in ("model", "secondary_model"):
        model = getattr(sweep.teacher, key)
        # A hub's id looks like a relative path; it is one only where that path exists.
        if model and _is_relative(model) and (file.parent / Path(model).expanduser()).exists():
            told = "is a folder on this machine; give the absolute path under which the cluster's nodes see it"
            yield Fault(str(file), f"teacher.{key}", model, told)
    uri = sweep.tracking.uri
    if uri and has_password(uri):
        told = "has a password in it, which would travel with the job; leave user and password out: the head has the " \
               "login, in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD or ~/.mlflow/credentials"  # fmt: skip
        yield Fault(str(file), "tracking.uri", None, told)
    elif uri and uri.startswith("sqlite:///") and not uri.startswith("sqlite:////"):
        told = "is a file on this machine; leave it out for the store of the head, or name a server"
        yield Fault(str(file), "tracking.uri", uri, told)


def _is_relative(path: str) -> bool:
    return not re.match(r"/|[A-Za-z][A-Za-z0-9+.-]*:/", path)  # nor an address of storage


def _copy_package(name: str, target: Path) -> None:
    spec = find_spec(name)
    assert spec is not None and spec.submodule_search_locations
    source = Path(spec.submodule_search_locations[0])
    for path in source.rglob("*"):
        inside = path.relative_to(source)
        if "__pycache__" in inside.parts or not path.is_file():
            continue
        if path.suffix in SUFFIXES or inside.parent.name == SHIPPED:
            (target / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / inside)
