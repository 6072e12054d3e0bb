"""Running the one trial of an exported file again, in this process, beside what it reported."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydantic
import torch
from rich.console import Console
from rich.table import Table

from search.home import open_home
from search.prepare.shared import make_shared
from search.screen.steps import Steps, shown_steps
from spaces.errors import Fault, InputError, faults_of, read_yaml
from spaces.sweep import SweepConfig
from spaces.trial import TrialConfig
from trainables.build import build_run

COMPARED = ("val_pauc", "val_f1", "val_eer", "val_auc", "val_fpr", "val_fnr")


log = logging.getLogger(__name__)


class Provenance(pydantic.BaseModel):
    """What is needed of an exported file's ``distune`` section."""

    sweep: SweepConfig
    trial: TrialConfig
    metrics: dict[str, float]
    corpus: str


@dataclass(frozen=True)
class Reproduction:
    """A trial's metrics as exported and as run again, both at the best epoch."""

    exported: Mapping[str, float]
    again: Mapping[str, float]


def reproduce_trial(file: Path, step: Steps = shown_steps) -> Reproduction:
    """Train the exported trial from its seed; the corpus is reused, or built where it is missing.

    Raises:
        InputError: the file is none of distune's, or its data or teacher are no longer there.
    """
    recorded = _read(file)
    shared, trial = make_shared(recorded.sweep, open_home(), step), recorded.trial
    if shared.corpus.name != Path(recorded.corpus).name:
        log.warning("clips, views or teacher changed since the export, so the figures will differ")
    objective = recorded.sweep.objective.model_dump()
    run = build_run(trial.flat(), shared.corpus, shared.teacher.head_fingerprint, objective)
    with step("training") as progress, _threads(max(1, int(recorded.sweep.resources.cpus_per_trial))):
        while not run.done:
            progress(run.step()["epoch"], trial.training.epochs)
    assert run.best is not None  # a run that is done has had an epoch
    return Reproduction(recorded.metrics, run.best.result)


@contextmanager
def _threads(n_threads: int) -> Iterator[None]:
    """As many threads as the trial had: more of them add up in another order, and round otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def print_comparison(reproduction: Reproduction) -> None:
    """Both runs' metrics side by side."""
    table = Table("at the best epoch", "exported", "run again")
    for name in COMPARED:
        table.add_row(name, f"{reproduction.exported[name]:.4f}", f"{reproduction.again[name]:.4f}")
    Console().print(table)


def _read(file: Path) -> Provenance:
    section = read_yaml(file).get("distune")
    if not isinstance(section, dict):
        remedy = "has no such section; give a file that `distune export` wrote"
        raise InputError(Fault(str(file), "distune", None, remedy))
    try:
        recorded = Provenance.model_validate(section)
    except pydantic.ValidationError as error:
        raise InputError(faults_of(error, file, "distune")) from None
    return recorded
