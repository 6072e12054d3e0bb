"""What the tests of search share: a home with a migrated MLflow database, and the record of a small sweep."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from search.cli import main as cli
from search.home import Home, SweepFolder, open_home
from search.propose.warm_start import Source
from search.record.origin import Origin, Part
from search.record.states import TrialState
from search.record.sweep import SweepRecord
from search.record.trials import Proposal
from search.tracking.store import open_client
from spaces.space import Space
from spaces.sweep import SweepConfig
from tests.search import commands
from trainables.audio.synthesis import SynthesisRequest, synthesise
from trainables.teachers.load import SHIPPED


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    open_client(f"sqlite:///{database}")
    return database


@pytest.fixture
def home(tmp_path: Path, fresh_database: Path) -> Home:
    opened = open_home(tmp_path / "home")
    shutil.copy(fresh_database, opened.root / "mlflow.db")
    return opened


class Records:
    """The experiment ``first`` as its database has it."""

    def __init__(self, uri: str) -> None:
        self._client = MlflowClient(uri)

    def runs(self) -> dict[str, Run]:
        """Runs by name; a name that two runs share fails the test."""
        found = self._client.search_runs([self._client.get_experiment_by_name("first").experiment_id])
        names = [run.info.run_name for run in found]
        assert len(names) == len(set(names)), f"runs were made twice: {names}"
        return dict(zip(names, found, strict=True))

    def history(self, name: str, metric: str) -> list[tuple[int, float]]:
        """(step, value) of every point."""
        points = self._client.get_metric_history(self.runs()[name].info.run_id, metric)
        return [(point.step, point.value) for point in points]

    def have_metrics(self, name: str) -> bool:
        runs = self.runs()
        return name in runs and bool(runs[name].data.metrics)


@pytest.fixture
def records(home: Home) -> Records:
    return Records(home.tracking_uri)


@pytest.fixture
def wait_for() -> Callable[[Callable[[], bool]], None]:
    """Wait until a condition holds; fails after two minutes."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.05)

    return wait


SPACE = Space.model_validate(
    {
        "parameters": {
            "distillation.alpha": {"low": 0.0, "high": 0.9, "step": 0.1, "default": 0.0},
            "distillation.temperature": {
                "low": 1.0, "high": 10.0, "log": True, "default": 2.0, "when": {"distillation.alpha": "positive"}
            },
            "training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True, "default": 1e-3},
        },
        "fixed": {"training.batch_size": 16},
        "known_points": {"no_distillation": {"distillation.alpha": 0.0}, "guide": {"distillation.alpha": 0.7}},
    }
)  # fmt: skip


ORIGIN = {
    "the clips": Part("c1", {"data.path": "clips", "data: clips of train": 9}),
    "the views": Part("v1", {"data.views.count": 4}),
    "the teacher": Part("t1", {"teacher.model": "teacher", "teacher.precision": "float32"}),
    "the teacher's head": Part("h1", {"teacher.mixing": "confidence"}),
}


@dataclass(frozen=True)
class RecordedSweep:
    """A sweep's folder, and its record opened as each process that runs the sweep opens it."""

    folder: SweepFolder
    students: tuple[str, ...] = ("tiny_conv", "mobilenetv3")

    def open(
        self,
        changes: dict[str, Any] | None = None,
        space: Space = SPACE,
        origin: Origin | None = None,
        sources: dict[str, list[Source]] | None = None,
    ) -> SweepRecord:
        """The record of three trials a student of nine epochs, ``changes`` laid over."""
        students = {student: {} for student in self.students}
        tree = {"name": "first", "data": {"path": "clips"}, "students": students, "budget": {"trials": 3, "epochs": 9}}
        sweep = SweepConfig.model_validate(tree).overlaid(changes or {})
        spaces = dict.fromkeys(self.students, space)
        journal = self.folder.create().journal
        return SweepRecord(sweep, journal, spaces, n_layers=7, origin=origin or ORIGIN, sources=sources)


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedSweep:
    return RecordedSweep(SweepFolder(tmp_path / "first"))


@pytest.fixture
def twin(tmp_path: Path) -> RecordedSweep:
    """Another sweep of the same name and seed, elsewhere."""
    return RecordedSweep(SweepFolder(tmp_path / "twin"))


@pytest.fixture
def end_trial() -> Callable[..., Proposal]:
    """Run one trial as the recorder would see it: an objective an epoch, then an end."""

    def run(
        record: SweepRecord,
        student: str,
        objectives: list[float],
        state: TrialState = TrialState.FINISHED,
        notes: dict[str, Any] | None = None,
    ) -> Proposal:
        proposal = record.propose(student)
        better = max if record.sweep.objective.mode == "max" else min
        for epoch, value in enumerate(objectives, start=1):
            record.report(student, proposal.number, epoch, value)
        if objectives:
            best = better(objectives)
            metrics = {record.sweep.objective.metric: best, "val_f1": 0.5, "epoch": objectives.index(best) + 1}
            record.note(student, proposal.number, "best", metrics)
        for key, value in (notes or {}).items():
            record.note(student, proposal.number, key, value)
        record.end(student, proposal.number, state)
        return proposal

    return run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> commands.Run:
    """distune's command line, in this process, with a home of its own."""
    monkeypatch.setenv("DISTUNE_HOME", str(tmp_path / "home"))

    def run(*arguments: str) -> commands.Done:
        monkeypatch.setattr(sys, "argv", ["distune", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return commands.Done(int(ended.value.code or 0), *capsys.readouterr())

    return run


def synthesise_few(folder: Path) -> None:
    """Clips enough to train on in seconds."""
    synthesise(
        SynthesisRequest(phrase="hey sirius", out=folder, n_positive=36, n_hard_negative=18, n_negative=54, seed=1)
    )


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with clips and a teacher, and in it distune's home, for this module and its subprocesses."""
    folder = tmp_path_factory.mktemp("sweeps")
    synthesise_few(folder / "clips")
    if not SHIPPED.is_dir():
        from tests.search.sweeps import write_random_teacher  # transformers takes seconds to import

        write_random_teacher(folder / "teacher")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISTUNE_HOME", str(folder / "home"))
        # Left to itself, Ray 2.60 writes a token into the user's own home.
        patch.setenv("RAY_AUTH_MODE", "disabled")
        yield folder


@pytest.fixture(scope="module")
def sweep_file(workplace: Path) -> Callable[..., Path]:
    def write(name: str, **sections: Any) -> Path:
        teacher = {"allow_weak": True} | ({} if SHIPPED.is_dir() else {"model": "teacher"})
        data, confirm = {"path": "clips", "views": {"count": 2}}, {"enabled": False}
        tree = {"data": data, "teacher": teacher, "confirm": confirm, **sections}
        path = workplace / f"{name}.yaml"
        path.write_text(yaml.safe_dump(tree))
        return path

    return write
