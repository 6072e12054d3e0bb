"""What is sent to a cluster, and what is refused because only this machine has it."""

import subprocess
from pathlib import Path

import pytest
import yaml

from search.cluster.order import Order
from search.cluster.pack import PACKAGES, packed, sweep_files
from spaces.errors import InputError
from spaces.sweep import SweepConfig

ROOT = Path(__file__).parents[3]


def written(folder: Path, **changes: object) -> tuple[SweepConfig, Path]:
    file = folder / "first.yaml"
    file.write_text(yaml.safe_dump({"data": {"path": "/data/clips"}, "students": {"tiny_conv": {}}, **changes}))
    file.chmod(0o600)  # for what has a password in it
    return SweepConfig.as_written(file), file


def refused(folder: Path, **changes: object) -> list[str]:
    with pytest.raises(InputError) as refusal:
        sweep_files(*written(folder, **changes))
    return [str(fault) for fault in refusal.value.faults]


def test_the_code_that_goes_along_is_what_the_repository_has_in_the_three_packages():
    listed = subprocess.run(["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no checkout")
    with packed(Order(["list"], "2.60.0")) as environment:
        sent = {
            f"{Path(module).name}/{path.relative_to(module).as_posix()}"
            for module in environment["py_modules"]
            for path in Path(module).rglob("*")
            if path.is_file()
        }
        assert [path.name for path in Path(environment["working_dir"]).iterdir()] == ["order.json"]
    tracked = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    assert len(tracked) > 200 and tracked - sent == set()
    assert {name for name in sent - tracked if not name.endswith((".py", ".yaml"))} == set()  # but for new files
    assert not Path(environment["working_dir"]).exists()


def test_an_order_is_read_as_it_was_written():
    order = Order(["export", "first", "--output=returned/0/best.yaml"], "2.60.0", "first", 1, {"0.yaml": "a: 1\n"})
    with packed(order) as environment:
        folder = Path(environment["working_dir"])
        assert Order.read(folder) == Order(order.words, "2.60.0", "first", 1)
        assert (folder / "0.yaml").read_text() == "a: 1\n"


def test_a_sweep_needs_nothing_of_this_machine_once_its_spaces_go_along(tmp_path):
    (tmp_path / "mine.yaml").write_text("extends: tiny_conv\nfixed: {training.batch_size: 16}\n")
    students = {"tiny_conv": {"space": "mine.yaml", "trials": 3}, "resnet18": {"space": "resnet18"}}
    files = sweep_files(*written(tmp_path, students=students, resources={"address": "10.0.0.1:6379"}))
    assert files["space-tiny_conv.yaml"] == (tmp_path / "mine.yaml").read_text()
    assert yaml.safe_load(files["sweep.yaml"]) == {
        "name": "first",
        "data": {"path": "/data/clips"},
        "students": {"tiny_conv": {"space": "space-tiny_conv.yaml", "trials": 3}, "resnet18": {"space": "resnet18"}},
        "resources": {"address": "auto"},
    }
    for name, text in files.items():
        (tmp_path / "there").mkdir(exist_ok=True)
        (tmp_path / "there" / name).write_text(text)
    there = SweepConfig.load(tmp_path / "there" / "sweep.yaml")
    assert there.students["tiny_conv"].space == str(tmp_path / "there" / "space-tiny_conv.yaml")


def test_what_only_this_machine_has_is_refused_all_at_once(tmp_path):
    (tmp_path / "teacher").mkdir()
    (tmp_path / "broken.yaml").write_text("parameters: {distillation.alhpa: {low: 0, high: 1}}")
    told = refused(
        tmp_path,
        data={"path": "clips", "views": {"noise": ["~/noise", "/data/noise"]}},
        teacher={"model": "teacher"},
        students={"tiny_conv": {"space": "broken.yaml"}, "resnet18": {"space": "missing.yaml"}},
        tracking={"uri": "sqlite:///mlflow.db"},
    )
    for expected in (
        "data.path = 'clips': is a path on this machine, and data is never sent",
        "data.views.noise = '~/noise': is a path",
        "teacher.model = 'teacher': is a folder on this machine",
        "tracking.uri = 'sqlite:///mlflow.db': is a file on this machine",
        "broken.yaml",
        "missing.yaml",
    ):
        assert any(expected in line for line in told), (expected, told)


def test_a_hub_id_and_an_absolute_path_are_as_good_there_as_here(tmp_path):
    files = sweep_files(*written(tmp_path, teacher={"model": "facebook/wav2vec2-base"}))
    assert yaml.safe_load(files["sweep.yaml"])["teacher"] == {"model": "facebook/wav2vec2-base"}


def test_a_stores_password_is_refused_and_not_repeated(tmp_path):
    (told,) = refused(tmp_path, tracking={"uri": "https://me:s3cret@mlflow.example.org"})
    assert "tracking.uri: has a password in it" in told and "MLFLOW_TRACKING_PASSWORD" in told and "s3cret" not in told
