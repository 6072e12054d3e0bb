"""The command line as users meet it: what it imports, shows and refuses, and with which exit status."""

import errno
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml

from search.cli import main as cli
from tests.search.commands import Run, assert_refused

HEAVY = ("torch", "ray", "mlflow", "optuna", "numpy", "pandas", "transformers", "sklearn", "scipy")


def commands(app: typer.Typer, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """(words of the command, its epilog) of every command below ``app``."""
    for command in app.registered_commands:
        callback = command.callback
        assert callback is not None
        yield (*path, command.name or callback.__name__), command.epilog or ""
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, (*path, str(group.name)))


COMMANDS = dict(commands(cli.app))


def test_all_commands_of_the_contract_are_found_by_these_tests() -> None:
    assert {
        "sweep",
        "submit",
        "confirm",
        "export",
        "import",
        "reproduce",
        "package",
        "status",
        "list",
        "logs",
        "stop",
        "resume",
        "ui",
        "report",
        "evaluate",
        "doctor",
    } == {words[0] for words in COMMANDS if len(words) == 1}
    assert {("data", "check"), ("data", "synth"), ("teacher", "fit"), ("teacher", "check")} <= set(COMMANDS)


def test_the_readme_names_every_command() -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    assert [words for words in COMMANDS if f"`distune {' '.join(words)}" not in readme] == []


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["sweep", "missing.yaml"], ["export", "--help"]])
def test_what_needs_no_training_imports_no_heavy_library(arguments: list[str], tmp_path: Path) -> None:
    program = (
        "import sys; from search.cli.main import main\n"
        f"sys.argv = ['distune', *{arguments!r}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"DISTUNE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1] == "heavy: []", done.stderr


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_ends_in_an_example_whose_options_exist_and_which_fits_80_columns(
    words: tuple[str, ...], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    status, shown, _ = run(*words, "--help")
    assert status == 0
    example = COMMANDS[words].removeprefix("Example: ")
    assert example in shown
    assert "…" not in shown and all(len(line) <= 80 for line in shown.splitlines())
    command, *given = shlex.split(example)
    assert (command, *given[: len(words)]) == ("distune", *words)
    for option in (word for word in given if word.startswith("-")):
        assert re.search(rf"(^|\s){option}\s", shown, re.MULTILINE), f"{option} is no option"


def test_exit_statuses_of_the_installed_command(tmp_path: Path) -> None:
    def status(*arguments: str) -> tuple[int, str]:
        program = [sys.executable, "-m", "search.cli.main", *arguments]
        done = subprocess.run(program, env={"DISTUNE_HOME": str(tmp_path)}, capture_output=True, text=True)
        return done.returncode, done.stderr

    assert status("list") == (0, "")
    assert status("sweep")[0] == 2
    refused, told = status("sweep", str(tmp_path / "missing.yaml"))
    assert refused == 2
    assert told == (
        f"refused: {tmp_path}/missing.yaml: cannot be read (No such file or directory); give an existing YAML file\n"
    )


def test_a_sweep_file_that_is_not_yaml_is_refused(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("students: [tiny_conv\nbudget: }")
    assert_refused(run("sweep", str(file)), f"{file}: is not YAML")


def test_unknown_keys_and_values_out_of_bounds_are_told_together(run: Run, tmp_path: Path) -> None:
    file = sweep_file(tmp_path, data={"path": "clips", "keywrd": "hey"}, budget={"trials": 0}, serch={})
    faults = [f"{file}: data.keywrd = 'hey'", f"{file}: budget.trials = 0", f"{file}: serch"]
    assert_refused(run("sweep", str(file)), *faults)


def test_a_warm_start_that_is_no_name_is_refused(run: Run, tmp_path: Path) -> None:
    told = "search.warm_start: 'first/tiny/conv' is no name of a sweep; write NAME or NAME/STUDENT"
    assert_refused(run("sweep", str(sweep_file(tmp_path)), "--warm-start", "first/tiny/conv"), told)


def test_a_change_without_an_equals_sign_is_told_beside_a_missing_file(run: Run) -> None:
    faults = ["command line: --set = 'budget.trials': write it as key=value", "nowhere.yaml: cannot be read"]
    assert_refused(run("sweep", "nowhere.yaml", "--set", "budget.trials"), *faults)


def test_data_teacher_student_and_noise_at_fault_are_told_together_before_ray_starts(run: Run, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "teacher.pt").write_text("not weights")
    file = sweep_file(
        tmp_path,
        data={"path": "clips", "views": {"noise": ["hiss"]}},
        teacher={"model": "teacher.pt"},
        students=["tiny_convv"],
    )
    faults = [
        f"{tmp_path}/teacher.pt: teacher.model: cannot be read as weights",
        f"{tmp_path}/hiss: data.views.noise",
        "sweep: students.tiny_convv = 'tiny_convv': is no student; choose among mobilenetv3, resnet18, tiny_conv",
        f"{tmp_path}/clips: data.path: holds no clips",
    ]
    assert_refused(run("sweep", str(file)), *faults)
    assert not list((tmp_path / "home" / "sweeps").iterdir())


def test_a_home_below_a_file_is_refused_by_every_command_that_needs_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = sweep_file(tmp_path)
    monkeypatch.setenv("DISTUNE_HOME", str(file / "home"))
    fault = f"{file}/home: cannot be written (Not a directory)"
    for words in (
        ["list"],
        ["status", "any"],
        ["confirm", "any"],
        ["export", "any"],
        ["stop", "any"],
        ["ui"],
        ["sweep", str(file)],
    ):
        assert_refused(run(*words), fault)


@pytest.mark.parametrize(
    "words", [["status"], ["confirm"], ["export"], ["ui"], ["logs"], ["stop"], ["resume"]], ids=" ".join
)
def test_a_sweep_that_is_not_recorded_is_refused(words: list[str], run: Run) -> None:
    assert_refused(run(*words, "nope"), "command line: NAME = 'nope': is not recorded here")


def test_a_file_that_export_did_not_write_is_not_reproduced(run: Run, tmp_path: Path) -> None:
    file = sweep_file(tmp_path)
    assert_refused(run("reproduce", str(file)), f"{file}: distune: has no such section")


def test_export_tells_all_at_once_that_nothing_finished_and_that_its_target_cannot_be_written(
    run: Run, tmp_path: Path, begun_sweep: Path
) -> None:
    target = begun_sweep / "sweep.yaml" / "best.yaml"
    faults = [
        f"command line: --output = '{target}': cannot be written (Not a directory)",
        "command line: NAME = 'begun': no trial of its students has finished yet",
    ]
    assert_refused(run("export", "begun", "-o", str(target)), *faults)
    assert_refused(run("export", "begun", "-o", str(tmp_path)), "--output", faults[1])
    unknown = "command line: --student = 'resnet': is no student of this sweep; choose among tiny_conv"
    assert_refused(run("export", "begun", "--student", "resnet"), unknown)


def test_confirm_tells_all_at_once_what_it_cannot_do(run: Run, begun_sweep: Path) -> None:
    faults = [
        "command line: --student = 'resnet': is no student of this sweep; choose among tiny_conv",
        "begun: --seeds = 0: Input should be greater than or equal to 1",
        "command line: NAME = 'begun': no trial of its students has finished yet",
    ]
    assert_refused(run("confirm", "begun", "--student", "resnet", "--seeds", "0"), faults[0], faults[1], faults[2])
    assert_refused(run("confirm", "begun"), faults[2])


def test_status_of_a_sweep_without_a_finished_trial_names_the_command_that_goes_on(run: Run, begun_sweep: Path) -> None:
    status, shown, _ = run("status", "begun")
    assert status == 0
    assert "trials yet to end: 4; go on with: distune resume begun" in shown
    assert "export" not in shown


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS])
def test_a_disk_that_fails_amid_the_work_is_a_refusal_that_says_how_to_go_on(
    number: int, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing() -> None:
        raise OSError(number, "of the system", "/full/file")

    monkeypatch.setattr("search.home.open_home", failing)
    status, shown, told = run("list")
    assert (status, shown) == (2, "")
    assert re.fullmatch(r"refused: /full/file: .*; .*DISTUNE_HOME.*\n", told)


def sweep_file(folder: Path, **sections: object) -> Path:
    """A sweep file; ``sections`` replace its own."""
    content = {"data": {"path": "clips"}, "students": ["tiny_conv"], **sections}
    file = folder / "sweep.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


@pytest.fixture
def begun_sweep(tmp_path: Path, run: Run) -> Path:
    """The folder of the sweep ``begun``, recorded without a trial."""
    folder = tmp_path / "home" / "sweeps" / "begun"
    folder.mkdir(parents=True)
    content = {"name": "begun", "data": {"path": "clips"}, "students": ["tiny_conv"], "budget": {"trials": 4}}
    (folder / "sweep.yaml").write_text(yaml.safe_dump(content))
    (folder / "shared.json").write_text(json.dumps({"teacher_metrics": {"val": {"pauc": 0.9, "f1": 0.8}}}))
    return folder
